namespace RdmaMigration.Cli.Tests;

/// <summary>Runs rdmamig in this process and keeps what it wrote.</summary>
internal sealed record CommandLine(int ExitCode, string Out, string Error)
{
    public static CommandLine Run(params string[] arguments)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        int exitCode = Rdmamig.Run(arguments, new Screen(output, error));
        return new CommandLine(exitCode, output.ToString(), error.ToString());
    }
}
