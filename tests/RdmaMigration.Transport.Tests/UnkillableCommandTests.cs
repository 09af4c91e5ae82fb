using System.ComponentModel;

namespace RdmaMigration.Transport.Tests;

/// <summary>A command that this user may not kill, since it runs as another one: teardown goes on, and says so.</summary>
public class UnkillableCommandTests
{
    private const int Eperm = 1;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Dispose_names_a_destinations_command(bool whatItStarted)
    {
        Exception refusal = Refusal(whatItStarted);
        List<string> left = [];
        (ShellCommand command, Func<int> process) = Start("exec cat > /dev/null", givesInput: true, refusal);
        new CommandOutgoingChannel(command) { LeftBehind = left.Add }.Dispose();
        string reported = Assert.Single(left);
        Assert.StartsWith("exec:exec cat > /dev/null ", reported, StringComparison.Ordinal);
        Assert.Contains(refusal.Message, reported, StringComparison.Ordinal);
        Assert.Contains($"process {process()} ", reported, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Dispose_names_a_sources_command(bool whatItStarted)
    {
        List<string> left = [];
        (ShellCommand command, Func<int> process) = Start("exec sleep 20", givesInput: false, Refusal(whatItStarted));
        new CommandIncomingChannel(command, "exec") { LeftBehind = left.Add }.Dispose();
        Assert.Contains($"process {process()} ", Assert.Single(left), StringComparison.Ordinal);
    }

    [Fact]
    public void A_command_that_exits_meanwhile_is_not_reported()
    {
        List<string> left = [];
        (ShellCommand command, _) = Start("exec yes 2> /dev/null", givesInput: false, new InvalidOperationException("no process"));
        new CommandIncomingChannel(command, "exec") { LeftBehind = left.Add }.Dispose();
        Assert.Empty(left);
    }

    /// <summary>What the runtime throws where the kernel refuses to signal the command itself, or one that it started.</summary>
    private static Exception Refusal(bool whatItStarted) => whatItStarted
        ? new AggregateException("Not all processes in process tree could be terminated.", new Win32Exception(Eperm))
        : new Win32Exception(Eperm);

    /// <summary>A command that ends by itself, some time after its pipe is closed, and that cannot be killed.</summary>
    private static (ShellCommand Command, Func<int> Process) Start(string line, bool givesInput, Exception refusal)
    {
        int number = 0;
        ShellCommand command = ShellCommand.Start(new ExecUri(line), givesInput);
        command.Kill = process =>
        {
            number = process.Id;
            throw refusal;
        };
        return (command, () => number);
    }
}
