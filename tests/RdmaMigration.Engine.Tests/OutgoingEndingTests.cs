using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>Sending that is ended from this side, wherever it is.</summary>
public sealed class OutgoingEndingTests
{
    /// <summary>Bytes that open the return path: OPEN_RETURN_PATH and a PING.</summary>
    private const int Pinged = 5 + 9;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);
    private static readonly byte[] s_success = [0, 1, 0, 4, 0, 0, 0, 0];

    /// <summary>The places where a sender can be held.</summary>
    public enum Place
    {
        /// <summary>FILE is a pipe, and whoever writes it has stopped amid RAM.</summary>
        Loading,

        /// <summary>FILE is a FIFO that nobody has opened.</summary>
        Opening,

        /// <summary>The destination does not take the connection.</summary>
        Connecting,

        /// <summary>The destination takes no more of RAM.</summary>
        Ram,

        /// <summary>The destination takes no more of the device state.</summary>
        Device,

        /// <summary>The destination has everything and says nothing.</summary>
        ReturnPath,

        /// <summary>The destination is a command that does not exit.</summary>
        Finish,
    }

    public static TheoryData<Place> Places => [.. Enum.GetValues<Place>()];

    public static TheoryData<Place> TimedPlaces => [.. Enum.GetValues<Place>().Where(place => place >= Place.Connecting)];

    [Theory]
    [MemberData(nameof(Places))]
    public void A_cancel_anywhere_ends_cancelled_and_torn_down_and_the_next_send_works(Place place)
    {
        using HeldSource held = new(place);
        long start = Stopwatch.GetTimestamp();
        held.Source.Process.Cancel();

        MigrationInfo cancelling = held.Source.Next();
        MigrationInfo cancelled = held.Source.Next();

        Assert.Equal((MigrationStatus.Cancelling, MigrationStatus.Cancelled), (cancelling.Status, cancelled.Status));
        Assert.Equal((FailureReason.Cancelled, (bool?)null), (cancelled.ErrorClass, cancelled.Confirmed));
        Assert.Equal(place >= Place.ReturnPath, cancelled.ErrorDescription!.Contains("did not confirm", StringComparison.Ordinal));
        held.Source.Settle();
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, s_soon);
        held.AssertClosed();
        Assert.Equal(MigrationStatus.Completed, held.Source.SendToEnd().Status);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Quit_anywhere_ends_the_main_loop_within_five_seconds(Place place)
    {
        using HeldSource held = new(place);
        held.Source.Process.Quit();
        held.Source.AwaitEnd(s_soon);
        held.AssertClosed();
        Assert.Equal(FailureReason.Cancelled, held.Source.Process.Query().ErrorClass);
    }

    [Theory]
    [MemberData(nameof(TimedPlaces))]
    public void The_timeout_ends_it_anywhere_after_the_load_with_the_bound_in_the_error(Place place)
    {
        using HeldSource held = new(place, options => options.With(MigrationParameters.Timeout, TimeSpan.FromMilliseconds(300)));
        MigrationInfo failed = held.Source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Timeout), (failed.Status, failed.ErrorClass));
        Assert.StartsWith("the migration to unix:scripted did not end within 0.3 s", failed.ErrorDescription, StringComparison.Ordinal);
        Assert.InRange(failed.TotalTime, TimeSpan.FromMilliseconds(290), s_soon);
        held.Source.Settle();
        held.AssertClosed();
    }

    [Theory]
    [InlineData(Place.ReturnPath)]
    [InlineData(Place.Finish)]
    public void A_destination_that_does_not_say_how_it_ended_is_timed_out_with_what_that_means(Place place)
    {
        using HeldSource held = new(place, options => options.With(MigrationParameters.ConfirmTimeout, TimeSpan.FromMilliseconds(100)));
        MigrationInfo failed = held.Source.Ended();
        Assert.Equal((MigrationStatus.Failed, FailureReason.Timeout), (failed.Status, failed.ErrorClass));
        Assert.All(
            (string[])["0.1 s", "--confirm-timeout", "the script", "did not confirm"],
            part => Assert.Contains(part, failed.ErrorDescription, StringComparison.Ordinal));
    }

    [Fact]
    public void The_confirm_timeout_does_not_count_before_everything_is_sent()
    {
        using HeldSource held = new(Place.Device, options => options.With(MigrationParameters.ConfirmTimeout, TimeSpan.FromMilliseconds(1)).With(
            MigrationParameters.Timeout, TimeSpan.FromMilliseconds(300)));
        Assert.StartsWith("the migration to", held.Source.Ended().ErrorDescription, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stop_after_the_destination_confirmed_is_too_late(bool isTimeout)
    {
        ScriptedDestination? destination = null;
        destination = new(returnPath: true) { OnShutdown = () => destination!.Say(s_success) };
        using RunningSource source = new(destination);
        source.Send(options => options.With(MigrationParameters.ConfirmTimeout, isTimeout ? TimeSpan.FromMilliseconds(1) : null));
        destination.AwaitStandstill();
        if (!isTimeout)
        {
            source.Process.Cancel();
            source.Until(info => info.Status is MigrationStatus.Cancelling);
        }

        MigrationInfo completed = source.Ended();

        Assert.Equal((MigrationStatus.Completed, true, null, null), (completed.Status, completed.Confirmed, completed.ErrorClass, completed.ErrorDescription));
        source.Settle();
        Assert.Equal((1, 0), (destination.Disposals, destination.ErrorsTold));
    }

    [Theory]
    [InlineData(4, true)]
    [InlineData(400, false)]
    public void Confirmation_counts_once_the_destination_has_all_that_it_loads(int bytesLeft, bool counts)
    {
        ScriptedDestination all = new();
        using RunningSource source = new(_ => all);
        source.SendToEnd();
        source.Settle();
        ScriptedDestination? destination = null;
        destination = new(returnPath: true) { StopsAfter = all.SentBytes + Pinged - bytesLeft, OnShutdown = () => destination!.Say(s_success) };
        using RunningSource cancelled = new(destination);
        cancelled.Send();
        destination.AwaitStandstill();
        cancelled.Process.Cancel();
        MigrationInfo ended = cancelled.Ended();
        Assert.Equal(counts ? MigrationStatus.Completed : MigrationStatus.Cancelled, ended.Status);
        Assert.Equal(counts ? true : null, ended.Confirmed);
    }

    [Fact]
    public void Two_threads_send_and_read_the_return_path_and_none_is_left()
    {
        using HeldSource held = new(Place.ReturnPath);
        Assert.Equal(["mig/src/main", "mig/src/return"], RunningSource.MigrationThreads);
        held.Source.Process.Cancel();
        held.Source.Ended();
        held.Source.Settle();
        Assert.True(SpinWait.SpinUntil(() => RunningSource.MigrationThreads.Count == 0, s_soon));
    }

    /// <summary>A source that is held at a place when this is made, in its first migration alone.</summary>
    private sealed class HeldSource : IDisposable
    {
        private readonly ScriptedDestination _destination;
        private readonly Fifo _fifo = new();
        private int _opened;

        public HeldSource(Place place, Func<OutgoingOptions, OutgoingOptions>? configure = null)
        {
            using ManualResetEventSlim connecting = new();
            _destination = new ScriptedDestination(returnPath: place is Place.ReturnPath)
            {
                StopsAfter = place switch
                {
                    Place.Ram => 1_000_000,
                    Place.Device => WithoutEnding,
                    _ => long.MaxValue,
                },
                StopsAtFinish = place is Place.Finish,
                Confirms = place is Place.Finish,
            };
            Source = new RunningSource(cancel =>
            {
                if (Interlocked.Increment(ref _opened) > 1)
                {
                    return new ScriptedDestination();
                }

                if (place is Place.Connecting)
                {
                    connecting.Set();
                    cancel.WaitHandle.WaitOne();
                    cancel.ThrowIfCancellationRequested();
                }

                return _destination;
            });
            Source.Send(configure, place is Place.Loading or Place.Opening ? _fifo.Path : null);
            switch (place)
            {
                case Place.Loading:
                    _fifo.Write(StreamedMachine.All().AsSpan(0, 1_000_000));
                    Assert.True(SpinWait.SpinUntil(() => Source.Process.Query().LoadedBytes == 1_000_000, s_soon));
                    break;
                case Place.Opening:
                    Source.AwaitPhase(MigrationPhase.Loading);
                    break;
                case Place.Connecting:
                    Assert.True(connecting.Wait(s_soon));
                    break;
                default:
                    _destination.AwaitStandstill();
                    break;
            }

            MigrationStatus reached = place switch
            {
                Place.Loading or Place.Opening or Place.Connecting => MigrationStatus.Setup,
                Place.Ram => MigrationStatus.Active,
                _ => MigrationStatus.Device,
            };
            Source.Until(info => info.Status == reached);
        }

        public RunningSource Source { get; }

        /// <summary>What a destination is sent up to the middle of the device state.</summary>
        private static long WithoutEnding { get; } = MeasureWithoutEnding();

        /// <summary>The channel was closed once, if there was one.</summary>
        public void AssertClosed() => Assert.Equal(_opened == 0 || _destination.SentBytes == 0 ? 0 : 1, _destination.Disposals);

        public void Dispose()
        {
            Source.Dispose();
            _fifo.Dispose();
        }

        private static long MeasureWithoutEnding()
        {
            ScriptedDestination all = new();
            using RunningSource source = new(all);
            source.SendToEnd();
            return all.SentBytes - StreamedMachine.Ending().Length - 8;
        }
    }
}
