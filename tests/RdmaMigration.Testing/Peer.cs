namespace RdmaMigration.Testing;

/// <summary>A root file system of another Debian release, with its QEMU; made by <c>./build.sh peers RELEASE</c>.</summary>
/// <param name="Release">The release's code name.</param>
public sealed record Peer(string Release)
{
    private static string Cache => Path.Combine(Executables.RepositoryRoot, ".artifacts", "peers");

    private static string Script => Path.Combine(Executables.RepositoryRoot, "docker", "peers", "peers");

    public bool Exists => Directory.Exists(Path.Combine(Cache, Release));

    /// <summary>How a user gets it, for a test that is skipped without it.</summary>
    public string HowToMake => $"this test needs the QEMU of Debian {Release}: run ./build.sh peers {Release}";

    /// <summary>Whether it has a program. One that was made by an older version may lack it.</summary>
    public bool Has(string program) => File.Exists(Path.Combine(Cache, Release, "usr", "bin", program));

    /// <summary>Runs a program of this release to its end; its exit code and all that it printed.</summary>
    public Task<(int ExitCode, string Output)> RunAsync(params string[] command) => ChildProcess.RunAsync(Script, ["run", Release, "--", .. command]);

    /// <summary>The machine, run by the QEMU of this release. Its files must lie below /dev/shm or /tmp, which the release shares with this host.</summary>
    public QemuOptions Run(QemuOptions machine) => machine with
    {
        Wrapper = [.. machine.Wrapper, Script, "run", Release, "--"],
        Executable = "/usr/bin/qemu-system-x86_64",
    };

    /// <summary>The release that CI tests against, and on a user's machine every other one that has been made.</summary>
    public static IEnumerable<Peer> All()
    {
        Peer tested = new("trixie");
        if (Environment.GetEnvironmentVariable("CI") == "true" || !Directory.Exists(Cache))
        {
            return [tested];
        }

        // A name with a dot is one that is being made.
        IEnumerable<string> made = Directory.EnumerateDirectories(Cache).Select(root => Path.GetFileName(root)).Where(name => !name.Contains('.'));
        return made.Select(name => new Peer(name)).Prepend(tested).Distinct();
    }
}
