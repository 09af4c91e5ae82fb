using System.Diagnostics;

namespace RdmaMigration.Cli.Tests;

/// <summary>What a shell can do and .NET cannot.</summary>
internal static class Shell
{
    /// <summary>The program, to run as a process of its own.</summary>
    public static string Rdmamig => $"'{Path.Combine(AppContext.BaseDirectory, "rdmamig")}'";

    /// <summary>Runs a command to its end.</summary>
    public static CommandLine Run(string command)
    {
        using Process shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = shell.StandardError.ReadToEndAsync();
        string output = shell.StandardOutput.ReadToEnd();
        shell.WaitForExit();
        return new CommandLine(shell.ExitCode, output, error.GetAwaiter().GetResult());
    }

    /// <summary>Gives a file a second name.</summary>
    public static void HardLink(string file, string name) => Assert.Equal(new CommandLine(0, "", ""), Run($"ln '{file}' '{name}'"));

    /// <summary>Makes a FIFO.</summary>
    public static void Fifo(string name) => Assert.Equal(new CommandLine(0, "", ""), Run($"mkfifo '{name}'"));
}
