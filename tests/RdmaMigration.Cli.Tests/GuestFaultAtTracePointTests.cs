using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Linux;
using RdmaMigration.Machines;
using RdmaMigration.Testing;

namespace RdmaMigration.Cli.Tests;

/// <summary>
/// A guest moves between this process and another, which is killed at a trace point of this one: after the last page, when the source has sent everything, when
/// the destination has everything, and when the guest runs there but the source does not know it. No proxy can hold a stream over RDMA there. The guest runs on
/// one side afterwards, or on none, which the source says; never on both.
/// </summary>
public sealed class GuestFaultAtTracePointTests : IDisposable
{
    private const ulong Ram = 8 << 20;

    private readonly WorkDirectory _work = new();
    private readonly TracePointLog _log = new();
    private readonly Machine _machine;
    private readonly SyntheticGuest _guest;

    public GuestFaultAtTracePointTests()
    {
        _machine = new Machine(new MachineOptions { Name = "synthetic-guest-1", Log = _log });
        _guest = SyntheticGuest.Create(_machine.AddRam("guest.ram", Ram), new GuestLoad(GuestPattern.Random, Ram / MachineRam.PageSize, 1 << 20), writers: 1);
        _machine.AddDevice(GuestDevice.Describe(_guest.State), _guest.State);
        _machine.Program = _guest;
    }

    private string Unix => $"unix:{_work.File("socket")}";

    public void Dispose()
    {
        _machine.Dispose();
        _guest.Dispose();
        _work.Dispose();
    }

    [Fact]
    public Task A_guest_runs_on_here_when_its_destination_is_killed_before_it_has_everything() => KillBeforeDeviceStateAsync(Unix);

    [Fact]
    [Trait("needs", "rdma")]
    public Task A_guest_runs_on_here_when_its_destination_is_killed_before_it_has_everything_over_RDMA() => KillBeforeDeviceStateAsync(RdmaAddress.NextUri());

    [Fact]
    public Task A_guest_stays_stopped_here_when_its_destination_is_killed_with_everything() => KillBeforeResultAsync(Unix);

    [Fact]
    [Trait("needs", "rdma")]
    public Task A_guest_stays_stopped_here_when_its_destination_is_killed_with_everything_over_RDMA() => KillBeforeResultAsync(RdmaAddress.NextUri());

    [Theory]
    [InlineData("dst-precopy-bh-enter")]
    [InlineData("dst-precopy-bh-vm-started")]
    public Task A_guest_that_has_arrived_runs_here_when_its_source_is_killed(string point) => KillSourceAsync(Unix, point);

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData("dst-precopy-bh-enter")]
    [InlineData("dst-precopy-bh-vm-started")]
    public Task A_guest_that_has_arrived_runs_here_when_its_source_is_killed_over_RDMA(string point) => KillSourceAsync(RdmaAddress.NextUri(), point);

    private async Task KillBeforeDeviceStateAsync(string uri)
    {
        await using RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(uri, "--ram", "8M");

        MigrationException failed = await Assert.ThrowsAnyAsync<MigrationException>(() => MoveAsync(destination, "src-iterable-saved"));

        Assert.Contains("the machine goes on here", failed.Message, StringComparison.Ordinal);
        Assert.Equal((true, MachineState.Running), (_log.HasStruck, _machine.State));
        Assert.DoesNotContain(destination.Events.Snapshot(), said => said.Name is "GUEST" or "VERIFIED");
        await AssertIntactAsync();
    }

    private async Task KillBeforeResultAsync(string uri)
    {
        await using RdmamigProcess destination = await RdmamigProcess.IncomingGuestAsync(uri, "--ram", "8M");

        try
        {
            await MoveAsync(destination, "src-non-iterable-saved");
        }
        catch (MigrationException failed)
        {
            Assert.Contains("the machine is stopped here", failed.Message, StringComparison.Ordinal);
            Assert.Equal((true, MachineState.Stopped), (_log.HasStruck, _machine.State));
            await AssertIntactAsync();
            return;
        }

        // The destination has started the guest and reported it before the signal reached it.
        Assert.Equal((true, MachineState.Moved), (_log.HasStruck, _machine.State));
    }

    /// <summary>Starts the guest here and moves it to a destination that is killed at a trace point of this side.</summary>
    private async Task MoveAsync(RdmamigProcess destination, string point)
    {
        _log.Strike(point, destination.Process);
        _guest.Fill();
        await _machine.StartAsync();
        await _machine.MigrateAsync(destination.Uri, new Dictionary<string, string> { ["downtime-limit"] = "5000" });
    }

    private async Task KillSourceAsync(string uri, string point)
    {
        TaskCompletionSource<string> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<GuestVerdict> verified = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _guest.Verified += verified.SetResult;
        Task<MachineMigration> arrival = _machine.ReceiveAsync(uri, listening: listening.SetResult, cancellation: TestContext.Current.CancellationToken);
        string to = await listening.Task.WaitAsync(Deadlines.Start, TestContext.Current.CancellationToken);
        await using RdmamigProcess source = RdmamigProcess.Guest(to, "--ram", "8M", "--dirty-rate", "1M", "--after", "0", "--downtime-limit", "5000");
        _log.Strike(point, source.Process);

        MachineMigration arrived = await arrival.WaitAsync(Deadlines.Migration, TestContext.Current.CancellationToken);

        Assert.True(_log.HasStruck);
        Assert.Equal((MachineMigrationStatus.Completed, MachineState.Running), (arrived.Status, _machine.State));
        Assert.DoesNotContain(source.Events.Snapshot(), said => said.Name == "RESULT");
        Assert.True((await verified.Task.WaitAsync(Deadlines.Answer, TestContext.Current.CancellationToken)).IsIntact);
        await AssertIntactAsync();
    }

    /// <summary>Stops the guest if it runs, and looks at all of its memory.</summary>
    private async Task AssertIntactAsync()
    {
        if (_machine.State is MachineState.Running)
        {
            await _machine.StopAsync();
        }

        GuestVerdict verdict = _guest.Verify();
        Assert.True(verdict.IsIntact, $"{verdict}");
    }

    /// <summary>Kills a process when a trace point is logged. The thread that logs it goes on when the process is gone.</summary>
    private sealed class TracePointLog : ILoggerFactory, ILogger
    {
        private Action<string>? _onPoint;

        public bool HasStruck { get; private set; }

        public void Strike(string point, ChildProcess victim) => Volatile.Write(ref _onPoint, reached =>
        {
            if (reached == point)
            {
                victim.KillNow();
                // Its end of the connection is closed only when it is gone.
                victim.WaitForExitAsync(Deadlines.Answer).GetAwaiter().GetResult();
                HasStruck = true;
            }
        });

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Name == "vmstate_downtime_checkpoint")
            {
                Volatile.Read(ref _onPoint)?.Invoke(formatter(state, exception));
            }
        }

        public void Dispose()
        {
        }
    }
}
