using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Engine;
using RdmaMigration.Testing;

namespace RdmaMigration.Service.Tests;

public sealed class SystemdReportsTests
{
    private static readonly TimeSpan s_watchdog = TimeSpan.FromMilliseconds(40);

    [Fact]
    public void A_main_loop_that_is_stuck_sends_no_beats_until_it_goes_on()
    {
        using Notifications systemd = new();
        MainLoop loop = new();
        using MachineProcess process = new(loop, NullLogger<MachineProcess>.Instance);
        using ManualResetEventSlim isStuck = new();
        using ManualResetEventSlim goesOn = new();
        Thread main = new(() =>
        {
            new SystemdReports(systemd, process, loop, s_watchdog, NullLogger.Instance).Ready();
            loop.Run();
        });
        main.Start();
        systemd.Until("WATCHDOG=1");
        systemd.Until("WATCHDOG=1");
        loop.Schedule(() =>
        {
            isStuck.Set();
            goesOn.Wait();
        });
        Assert.True(isStuck.Wait(Deadlines.Answer));
        systemd.Drain();

        Assert.Null(systemd.Next(10 * s_watchdog));

        goesOn.Set();
        systemd.Until("WATCHDOG=1");
        loop.Quit();
        Assert.True(main.Join(Deadlines.Answer));
    }

    [Fact]
    public void A_process_that_systemd_does_not_watch_sends_no_beats()
    {
        using Notifications systemd = new();
        MainLoop loop = new();
        using MachineProcess process = new(loop, NullLogger<MachineProcess>.Instance);
        SystemdReports reports = new(systemd, process, loop, watchdog: null, NullLogger.Instance);

        reports.Ready();
        reports.Stopping();

        Assert.Equal(["READY=1", "STATUS=Idle", "STOPPING=1"], systemd.Drain());
    }

    [Theory]
    [InlineData("Active", 0, "Receiving from peer: ram")]
    [InlineData("Active", 50, "Receiving from peer: ram 25%")]
    [InlineData("Completed", 200, "Receiving from peer: completed")]
    [InlineData("Failed", 50, "Receiving from peer: failed: one line, another")]
    public void The_status_line_has_phase_percentage_and_reason_in_one_line(string status, long transferred, string line)
    {
        MigrationInfo migration = new()
        {
            Status = Enum.Parse<MigrationStatus>(status),
            Phase = MigrationPhase.Ram,
            Peer = "peer",
            RamTotal = transferred == 0 ? 0 : 200,
            RamTransferred = transferred,
            ErrorDescription = "one line,\nanother",
        };

        Assert.Equal(line, SystemdReports.Describe(migration, listening: null));
    }

    private sealed class Notifications : ISystemdNotifier, IDisposable
    {
        private readonly BlockingCollection<string> _states = [];

        public bool IsEnabled => true;

        public void Notify(ServiceState state) => _states.Add(state.ToString());

        public string? Next(TimeSpan deadline) => _states.TryTake(out string? state, deadline) ? state : null;

        public void Until(string awaited)
        {
            while (Next(Deadlines.Answer) is { } state)
            {
                if (state == awaited)
                {
                    return;
                }
            }

            Assert.Fail($"{awaited} was not sent");
        }

        public List<string> Drain()
        {
            List<string> states = [];
            while (_states.TryTake(out string? state))
            {
                states.Add(state);
            }

            return states;
        }

        public void Dispose() => _states.Dispose();
    }
}
