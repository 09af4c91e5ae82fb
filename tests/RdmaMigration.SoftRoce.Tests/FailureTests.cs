namespace RdmaMigration.SoftRoce.Tests;

public class FailureTests
{
    [Theory]
    [InlineData("rdinit=/nothing", "Kernel panic")]
    [InlineData("module_blacklist=rdma_rxe", "rdma_rxe.ko")]
    public async Task A_guest_that_does_not_come_up_says_why(string kernelArgument, string reason)
    {
        (int code, string _, string? error) = await Rig.RunToEnd("--append", kernelArgument, "--", "true");

        Assert.Equal(125, code);
        string said = Assert.Single(error.Split('\n'), line => line.StartsWith("softroce: the guest did not come up: ", StringComparison.Ordinal));
        Assert.Contains(reason, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_that_dies_under_the_command_says_why()
    {
        (int code, string _, string? error) = await Rig.RunToEnd("--", "bash", "-c", "echo c > /proc/sysrq-trigger");

        Assert.Equal(125, code);
        Assert.Contains("the guest died while the command ran: Kernel panic", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_that_does_not_fit_is_refused_with_both_sizes()
    {
        (int code, string _, string? error) = await Rig.RunToEnd("--memory", "99999999", "--", "true");

        Assert.Equal(125, code);
        Assert.Matches(@"99999999 MiB do not fit into this machine's \d+ MiB", error);
    }

    [Fact]
    public async Task A_command_that_exhausts_the_guests_memory_is_told_so()
    {
        (int code, string _, string? error) = await Rig.RunToEnd("--memory", "256", "--", "tail", "/dev/zero");

        Assert.Equal(137, code);
        Assert.Contains("ran out of its 256 MiB", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("run")]
    [InlineData("run", "--memory", "lots", "--", "true")]
    [InlineData("run", "--no-such-option")]
    [InlineData("link", "off", "wire")]
    [InlineData("no-such-command")]
    public async Task Wrong_usage_is_exit_code_2(params string[] arguments)
    {
        using Rig rig = Rig.Start(arguments);
        (int code, string? output, string? error) = await rig.End();

        Assert.Equal((2, ""), (code, output));
        Assert.NotEmpty(error);
    }
}
