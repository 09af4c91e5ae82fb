namespace RdmaMigration.Transport.Tests;

/// <summary>A command at the other end of a pipe.</summary>
public class ShellCommandTests
{
    [Fact]
    public async Task An_exit_code_is_the_same_for_all_threads_that_wait_for_it()
    {
        for (int i = 0; i < 100; i++)
        {
            using ShellCommand command = ShellCommand.Start(new ExecUri("exit 7"), givesInput: false);
            using PolledDescriptor descriptor = command.Descriptor;
            int?[] codes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () => command.WaitForExit(TimeSpan.FromSeconds(20)) ? command.ExitCode : (int?)null, TaskCreationOptions.LongRunning)));
            Assert.All(codes, code => Assert.Equal(7, code));
        }
    }
}
