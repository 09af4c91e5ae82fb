using System.Diagnostics;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Linux;
using RdmaMigration.Machines;
using RdmaMigration.Testing;

namespace RdmaMigration.Cli.Tests;

/// <summary>A source process that is stopped by SIGSTOP while it sends RAM does not stall the monitor of its destination.</summary>
public sealed class GuestStallTests
{
    private const int Commands = 500;

    private static readonly TimeSpan s_bound = TimeSpan.FromMilliseconds(10);

    [Fact]
    public async Task A_monitor_command_is_answered_within_10_ms_while_the_source_is_stopped()
    {
        using WorkDirectory work = new();
        using Machine machine = new(new MachineOptions { Name = "synthetic-guest-1" });
        using SyntheticGuest guest = SyntheticGuest.Create(machine.AddRam("guest.ram", 32 << 20), new GuestLoad(GuestPattern.Random, 1, 0), writers: 1);
        machine.AddDevice(GuestDevice.Describe(guest.State), guest.State);
        machine.Program = guest;
        string uri = $"unix:{work.File("socket")}";
        TaskCompletionSource listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Task arrival = machine.ReceiveAsync(uri, listening: _ => listening.SetResult(), cancellation: TestContext.Current.CancellationToken);
        await listening.Task.WaitAsync(Deadlines.Start, TestContext.Current.CancellationToken);
        await using ChildProcess source = ChildProcess.Start(
            "rdmamig",
            Path.Combine(AppContext.BaseDirectory, "rdmamig"),
            ["guest", "--ram", "32M", "--migrate", uri, "--after", "0", "--max-bandwidth", "8M", "--downtime-limit", "100000", "--json"]);
        Assert.True(SpinWait.SpinUntil(() => machine.Query().RamBytes > 1 << 20, Deadlines.Start), source.Errors);
        await source.SignalAsync("STOP");

        // What has come already is read in no time.
        await Task.Delay(TimeSpan.FromMilliseconds(200), TestContext.Current.CancellationToken);
        long before = machine.Query().RamBytes;
        List<TimeSpan> answers = [];
        for (int i = 0; i < Commands; i++)
        {
            long asked = Stopwatch.GetTimestamp();
            MigrationException refused = await Assert.ThrowsAsync<MigrationException>(machine.Process.StopListeningAsync);
            answers.Add(Stopwatch.GetElapsedTime(asked));
            Assert.Equal(FailureReason.Policy, refused.Reason);
        }

        Assert.Equal((MachineMigrationStatus.Active, before), (machine.Query().Status, machine.Query().RamBytes));
        await source.SignalAsync("CONT");
        await arrival.WaitAsync(Deadlines.Migration, TestContext.Current.CancellationToken);
        Assert.Equal(0, await source.WaitForExitAsync(Deadlines.Answer));

        answers.Sort();
        TimeSpan late = answers[(Commands * 99 / 100) - 1];
        TestContext.Current.TestOutputHelper?.WriteLine($"median {answers[Commands / 2].TotalMilliseconds:0.000} ms, p99 {late.TotalMilliseconds:0.000} ms");
        Assert.InRange(late, TimeSpan.Zero, s_bound);
    }
}
