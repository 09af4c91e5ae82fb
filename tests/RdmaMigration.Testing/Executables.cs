namespace RdmaMigration.Testing;

/// <summary>Where the programs under test and their real peers are. A missing one is a failure that says what to install.</summary>
public static class Executables
{
    /// <summary>Debian's QEMU, or the one that QEMU names.</summary>
    public static string Qemu => Environment.GetEnvironmentVariable("QEMU") is { Length: > 0 } named
        ? named
        : OnPath("qemu-system-x86_64", "qemu-system-x86");

    /// <summary>
    /// rdmamig: the program that RDMAMIG names, else the published binary, else the newest build output.
    /// </summary>
    public static string Rdmamig
    {
        get
        {
            if (Environment.GetEnvironmentVariable("RDMAMIG") is { Length: > 0 } named)
            {
                return File.Exists(named) ? named : throw new FileNotFoundException($"RDMAMIG names {named}, which is not there");
            }

            string artifacts = Path.Combine(RepositoryRoot, ".artifacts");
            string[] places =
            [
                Path.Combine(artifacts, "publish", "rdmamig"),
                Path.Combine(artifacts, "publish", "RdmaMigration.Cli", "release_linux-x64", "rdmamig"),
                Path.Combine(artifacts, "bin", "RdmaMigration.Cli", "release", "rdmamig"),
                Path.Combine(artifacts, "bin", "RdmaMigration.Cli", "debug", "rdmamig"),
            ];
            return places.FirstOrDefault(File.Exists)
                ?? throw new FileNotFoundException($"rdmamig is in none of {string.Join(", ", places)}: build it, or name it in RDMAMIG");
        }
    }

    /// <summary>Whether <see cref="Rdmamig"/> is one native file, not a launcher of managed assemblies.</summary>
    public static bool RdmamigIsNative => !File.Exists(Path.ChangeExtension(Rdmamig, ".dll")) && !File.Exists(Rdmamig + ".dll");

    /// <summary>The folder that holds RdmaMigration.sln.</summary>
    public static string RepositoryRoot
    {
        get
        {
            for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "RdmaMigration.sln")))
                {
                    return folder.FullName;
                }
            }

            throw new DirectoryNotFoundException($"no RdmaMigration.sln above {AppContext.BaseDirectory}");
        }
    }

    /// <summary>The full path of a program on PATH.</summary>
    /// <exception cref="FileNotFoundException">It is not there; the message names the Debian package.</exception>
    public static string OnPath(string program, string package)
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        return path.Split(':', StringSplitOptions.RemoveEmptyEntries).Concat(["/usr/sbin", "/sbin"])
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException($"{program} is not on PATH: apt-get install {package}");
    }
}
