using System.Diagnostics;
using static Tmds.Linux.LibC;

namespace RdmaMigration.SoftRoce.Tests;

public class EndingTests
{
    public static TheoryData<int, int> Signals => new() { { SIGINT, 130 }, { SIGTERM, 143 }, { SIGKILL, 137 } };

    [Theory]
    [MemberData(nameof(Signals))]
    public async Task A_rig_ended_by_a_signal_leaves_no_process(int signal, int expected)
    {
        using Rig rig = Rig.Run("--", "bash", "-c", "echo up; exec sleep 1000");
        Assert.Equal("up", await rig.Line());
        IReadOnlyList<Process> processes = rig.Descendants();
        Assert.Contains(processes, process => process.ProcessName.StartsWith("qemu", StringComparison.Ordinal));

        rig.Signal(signal);

        Assert.Equal(expected, await rig.ExitCode());
        await Task.WhenAll(processes.Select(process => process.WaitForExitAsync(rig.Deadline)));
    }

    [Fact]
    public async Task A_rig_that_is_still_booting_ends_at_once_and_leaves_no_process()
    {
        using Rig rig = Rig.Run("--boot-timeout", "1", "--", "true");
        (int code, string _, string? error) = await rig.End();

        Assert.Equal(125, code);
        Assert.Contains("did not come up within 1 s", error, StringComparison.Ordinal);
        Assert.Empty(rig.Descendants());
    }

    [Fact]
    public async Task A_command_that_exceeds_its_time_ends_with_124_and_keeps_its_output()
    {
        (int code, string? output, string? error) = await Rig.RunToEnd("--timeout", "10", "--", "bash", "-c", "echo before; exec sleep 1000");

        Assert.Equal((124, "before\n"), (code, output));
        Assert.Contains("within 10 s", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_command_leaves_running_does_not_hold_the_rig()
    {
        (int code, string? output, string _) = await Rig.RunToEnd("--", "bash", "-c", "sleep 1000 & echo done; exit 3");

        Assert.Equal((3, "done\n"), (code, output));
    }
}
