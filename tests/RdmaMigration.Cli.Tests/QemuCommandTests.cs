namespace RdmaMigration.Cli.Tests;

public class QemuCommandTests
{
    [Fact]
    public void A_missing_emulator_is_reported_with_what_to_set()
    {
        CommandLine line = CommandLine.Run("qemu", "--emulator", "/no/such/qemu", "--", "-version");

        Assert.Equal(ExitCode.HostCannot, line.ExitCode);
        Assert.Contains("'/no/such/qemu'", line.Error, StringComparison.Ordinal);
        Assert.Contains("--emulator", line.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_line_that_cannot_be_served_is_a_usage_error()
    {
        CommandLine line = CommandLine.Run("qemu", "--emulator", "/bin/true", "--", "-S", "-incoming", "defer");

        Assert.Equal(ExitCode.Usage, line.ExitCode);
        Assert.Contains("QMP monitor", line.Error, StringComparison.Ordinal);
    }
}
