using Docker.DotNet;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>Runs the shell lines of a README.</summary>
internal static class ReadmeLines
{
    /// <summary>Runs the code block that creates a network. What it makes gets unique names and is removed at the end.</summary>
    /// <param name="image">The image that the lines run. The test is skipped without it.</param>
    /// <param name="readme">The README, below the repository.</param>
    /// <param name="directory">Where they run.</param>
    /// <param name="network">The name of the network in the README.</param>
    /// <param name="volume">The name of the volume in the README; null for none.</param>
    /// <param name="containers">The names of the containers in the README.</param>
    public static async Task<string> RunAsync(
        string image, string readme, string directory, string network, string? volume, params string[] containers)
    {
        using DockerClient engine = await DockerEngine.WithImageAsync(image);
        string text = await File.ReadAllTextAsync(Path.Combine(Executables.RepositoryRoot, readme), TestContext.Current.CancellationToken);
        string lines = Assert.Single(text.Split("```"), block => block.Contains($"docker network create {network}", StringComparison.Ordinal));

        string suffix = $"-{Environment.ProcessId}";
        string remove = $"docker rm -f {string.Join(' ', containers.Select(name => name + suffix))}; docker network rm {network}{suffix}";
        string[] names = [network, .. containers];
        if (volume is not null)
        {
            remove += $"; docker volume rm {volume}{suffix}";
            names = [volume, .. names];
        }

        foreach (string name in names)
        {
            lines = lines.Replace(name, name + suffix, StringComparison.Ordinal);
        }

        try
        {
            await using ChildProcess shell = ChildProcess.Start("README", "bash", ["-ec", lines], workingDirectory: directory);
            int code = await shell.WaitForExitAsync(Deadlines.Scale(240));
            Assert.True(code == 0, shell.Errors);
            return shell.Errors;
        }
        finally
        {
            // What the lines have removed themselves is no error.
            await ChildProcess.RunAsync("bash", "-c", remove);
        }
    }
}
