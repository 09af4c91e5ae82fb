using Docker.DotNet;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>Runs the shell lines of a README.</summary>
internal static class ReadmeLines
{
    /// <summary>Runs the code block that creates a network. Its containers and its network get unique names and are removed at the end.</summary>
    /// <param name="image">The image that the lines run. The test is skipped without it.</param>
    /// <param name="readme">The README, below the repository.</param>
    /// <param name="network">Its name in the README.</param>
    /// <param name="containers">Their names in the README.</param>
    public static async Task<string> RunAsync(string image, string readme, string network, params string[] containers)
    {
        using DockerClient engine = await DockerEngine.WithImageAsync(image);
        string text = await File.ReadAllTextAsync(Path.Combine(Executables.RepositoryRoot, readme), TestContext.Current.CancellationToken);
        string lines = Assert.Single(text.Split("```"), block => block.Contains($"docker network create {network}", StringComparison.Ordinal));

        string suffix = $"-{Environment.ProcessId}";
        string remove = $"docker rm -f {string.Join(' ', containers.Select(name => name + suffix))}; docker network rm {network}{suffix}";
        foreach (string name in (string[])[network, .. containers])
        {
            lines = lines.Replace(name, name + suffix, StringComparison.Ordinal);
        }

        (int code, string output) = await ChildProcess.RunAsync("bash", "-ec", $"trap '({remove}) &> /dev/null' EXIT\n{lines}");
        Assert.True(code == 0, output);
        return output;
    }
}
