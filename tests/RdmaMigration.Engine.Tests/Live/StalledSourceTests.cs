using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>
/// A source that stalls does not stall the monitor of its destination: a query through the main loop waits less than 10 ms in 99 of 100 cases. A source
/// process that is stopped by a signal: GuestStallTests, of the program.
/// </summary>
public sealed class StalledSourceTests
{
    private const int Queries = 500;

    /// <summary>The queries' place in the lock's hold times.</summary>
    private const string Monitor = "monitor";

    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(10);

    /// <summary>Where in the stream the source stalls.</summary>
    public enum Place
    {
        BlockList,
        Page,
        DeviceField,
        Package,
        PackageOfLockedDevice,
        EndMarker,
    }

    public static TheoryData<Place, Stall> Everywhere
    {
        get
        {
            TheoryData<Place, Stall> all = [];
            foreach (Place place in Enum.GetValues<Place>())
            {
                foreach (Stall stall in Enum.GetValues<Stall>())
                {
                    all.Add(place, stall);
                }
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Everywhere))]
    public async Task A_query_is_answered_within_10_ms_while_the_source_stalls(Place place, Stall stall)
    {
        List<string> decodes = [];
        using RunningMachine destination = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld, mebibytes: 1, writers: 0));
        LockedDevice locked = LockedDevice.AddTo(destination.Machine);
        locked.Decoding = () =>
        {
            decodes.Add($"{Thread.CurrentThread.Name} {destination.Loop.Lock.IsHeld}");
            return true;
        };
        (byte[] stream, int cut) = Stream(destination.Machine, place);
        destination.Listen(LiveMigrationTests.Anywhere("tcp"));
        await using StalledSource source = new($"tcp:127.0.0.1:{destination.Process.LocalEndPoint!.Port}", stream, stall, cut);
        await source.StallAsync();
        destination.Until(info => info.Status is MigrationStatus.Active);

        AssertAnswers(destination, MigrationStatus.Active, stall is Stall.Trickle ? TimeSpan.FromMilliseconds(5) : TimeSpan.Zero);
        Assert.Equal(place is Place.EndMarker ? 1 : 0, decodes.Count);

        await source.FinishAsync();
        MigrationInfo done = destination.Ended();
        Assert.True(done.Status is MigrationStatus.Completed, $"{done}");
        Assert.Equal(["main True"], decodes);
        Assert.Equal((7UL, 7UL, 7UL), (destination.Machine.Counter.Value, destination.Machine.Second.Value, locked.Value));
        destination.OnMain(destination.Machine.Stop);
    }

    /// <summary>A large machine takes a while; that time is not the source's, which has half a second.</summary>
    [Fact]
    public void A_query_is_answered_within_10_ms_while_RAM_is_cleared()
    {
        using ManualResetEventSlim isClearing = new();
        using ManualResetEventSlim goOn = new();
        string? thread = null;
        using RunningMachine destination = new(self => new WritingMachine(() => self.Loop.Lock.IsHeld, mebibytes: 1, writers: 0)
        {
            Clearing = () =>
            {
                thread = Thread.CurrentThread.Name;
                isClearing.Set();
                goOn.Wait();
            },
        });
        LockedDevice.AddTo(destination.Machine);
        destination.Listen(LiveMigrationTests.Anywhere("tcp"), options => options.With(MigrationParameters.SetupTimeout, TimeSpan.FromSeconds(0.5)));
        using TcpClient source = new();
        source.Connect("127.0.0.1", destination.Process.LocalEndPoint!.Port);
        source.GetStream().Write(Stream(destination.Machine, Place.EndMarker).Bytes);
        source.Client.Shutdown(SocketShutdown.Send);
        Assert.True(isClearing.Wait(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken));

        AssertAnswers(destination, MigrationStatus.Setup, TimeSpan.Zero);
        destination.OnMain(() => destination.Loop.StartTimer(TimeSpan.FromSeconds(0.6), goOn.Set, owner: destination));

        MigrationInfo done = destination.Ended();
        Assert.True(done.Status is MigrationStatus.Completed, $"{done}");
        Assert.Equal("mig/dst/main", thread);
        destination.OnMain(destination.Machine.Stop);
    }

    /// <summary>
    /// Asks for the status, from this thread, again and again. Bounds the whole answer, and of it the time in which something else had the lock: a processor
    /// that is busy with other work makes the first late, not the second.
    /// </summary>
    private static void AssertAnswers(RunningMachine destination, MigrationStatus status, TimeSpan pause)
    {
        using LockHolds holds = new();
        List<TimeSpan> answers = [];
        List<TimeSpan> waits = [];
        for (int i = 0; i < Queries; i++)
        {
            long asked = Stopwatch.GetTimestamp();
            Task<(MigrationInfo Info, long At)> query = destination.Loop.InvokeAsync(() => (destination.Process.Query(), Stopwatch.GetTimestamp()), Monitor);
            Assert.True(query.Wait(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), $"query {i} is not answered");
            answers.Add(Stopwatch.GetElapsedTime(asked));
            Assert.Equal(status, query.Result.Info.Status);
            waits.Add(holds.Between(asked, query.Result.At));
            Thread.Sleep(pause);
        }

        answers.Sort();
        waits.Sort();
        TimeSpan late = waits[(Queries * 99 / 100) - 1];
        TimeSpan answered = answers[(Queries * 99 / 100) - 1];
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"wait for the lock, p99: {late.TotalMilliseconds:0.000} ms; answer, median: {answers[Queries / 2].TotalMilliseconds:0.000} ms, "
                + $"p99: {answered.TotalMilliseconds:0.000} ms");
        Assert.InRange(late, TimeSpan.Zero, s_bound);
        Assert.InRange(answered, TimeSpan.Zero, s_bound);
    }

    /// <summary>What the source of such a machine sends, without a return path, and the byte at which it stalls.</summary>
    private static (byte[] Bytes, int Cut) Stream(WritingMachine machine, Place place)
    {
        Dictionary<Place, int> cuts = [];
        StreamBuilder stream = new StreamBuilder().Header().Configuration(machine.Type)
            .Opened(StreamBuilder.Start, StreamBuilder.RamId, "ram", 0, 4).BlockList([.. machine.Ram.Select(block => (block.Name, block.Length))]);
        cuts[Place.BlockList] = stream.Length - 6;
        stream.Eos().Footer(StreamBuilder.RamId).Continued(StreamBuilder.End, StreamBuilder.RamId).PageOf("main", 0, 0x11);
        cuts[Place.Page] = stream.Length - 2000;
        for (ulong page = StreamBuilder.Page; page < machine.Ram[0].Length; page += StreamBuilder.Page)
        {
            stream.Zero(null, page);
        }

        for (ulong page = 0; page < machine.Ram[1].Length; page += StreamBuilder.Page)
        {
            stream.Zero(page == 0 ? "aux" : null, page);
        }

        stream.Eos().Footer(StreamBuilder.RamId);
        stream.Raw(Device(1, "counter", 0, 2));
        cuts[Place.DeviceField] = stream.Length - 200;
        stream.Package(Device(2, "counter", 1, 2));
        cuts[Place.Package] = stream.Length - 200;
        stream.Package(Device(3, "locked", 0, 0));
        cuts[Place.PackageOfLockedDevice] = stream.Length - 200;
        cuts[Place.EndMarker] = stream.Length;
        byte[] bytes = stream.EndOfFile().VmDescription("""{"page_size": 4096, "devices": []}""").ToArray();
        return (bytes, cuts[place]);

        static byte[] Device(uint number, string name, uint instance, uint version)
        {
            uint section = StreamBuilder.RamId + number;
            return new StreamBuilder().Opened(StreamBuilder.Full, section, name, instance, version).UInt64(7).Raw(new byte[300]).Footer(section).ToArray();
        }
    }

    /// <summary>When the big locks of this process were held, by others than queries.</summary>
    private sealed class LockHolds : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly List<(long From, long To)> _holds = [];

        public LockHolds()
        {
            _listener.InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "rdmamig_biglock_hold_seconds")
                {
                    self.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<double>((_, seconds, tags, _) =>
            {
                if (tags[0].Value is not Monitor)
                {
                    long now = Stopwatch.GetTimestamp();
                    lock (_holds)
                    {
                        _holds.Add((now - (long)(seconds * Stopwatch.Frequency), now));
                    }
                }
            });
            _listener.Start();
        }

        /// <summary>For how much of a time the lock was held.</summary>
        public TimeSpan Between(long from, long to)
        {
            lock (_holds)
            {
                return Stopwatch.GetElapsedTime(0, _holds.Sum(hold => Math.Max(0, Math.Min(hold.To, to) - Math.Max(hold.From, from))));
            }
        }

        public void Dispose() => _listener.Dispose();
    }
}
