using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The packages that ./build.sh pack makes, and projects outside the repository that use them.</summary>
public sealed partial class Packages : IAsyncLifetime
{
    private static readonly TimeSpan s_patience = Deadlines.Scale(600);

    // Not in memory: the packages that the projects depend on are large.
    private readonly WorkDirectory _work = new("/var/tmp");

    /// <summary>The names of the projects that are to be packages, with those that they refer to.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Projects { get; } =
        Directory.GetFiles(Path.Combine(Rig.Repository, "src"), "*.csproj", SearchOption.AllDirectories)
            .Select(file => (Name: Path.GetFileNameWithoutExtension(file), Text: File.ReadAllText(file)))
            .Where(project => project.Text.Contains("/Package.props", StringComparison.Ordinal))
            .ToDictionary(project => project.Name, project => (IReadOnlyList<string>)
                [.. ProjectReference().Matches(project.Text).Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal)]);

    public static string Folder => Path.Combine(Rig.Repository, ".artifacts", "packages");

    public async ValueTask InitializeAsync()
    {
        await RunAsync(Rig.Repository, Path.Combine(Rig.Repository, "build.sh"), "pack", "nuget");
        await File.WriteAllTextAsync(_work.File("nuget.config"), $"""
            <configuration>
              <packageSources>
                <clear />
                <add key="packed" value="{Folder}" />
                <add key="restored" value="{await RestoredAsync()}" />
              </packageSources>
              <packageSourceMapping>
                <clear />
                <packageSource key="packed"><package pattern="RdmaMigration.*" /></packageSource>
                <packageSource key="restored"><package pattern="*" /></packageSource>
              </packageSourceMapping>
            </configuration>
            """);
    }

    public ValueTask DisposeAsync()
    {
        _work.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Opens a package, or its symbols.</summary>
    public static ZipArchive Open(string name, string extension) => ZipFile.OpenRead(Assert.Single(Directory.GetFiles(Folder, $"{name}.*.{extension}")));

    /// <summary>The package's README.</summary>
    public static string ReadMe(ZipArchive package)
    {
        ZipArchiveEntry entry = Assert.Single(package.Entries, entry => entry.FullName.EndsWith(".md", StringComparison.Ordinal));
        using StreamReader reader = new(entry.Open());
        return reader.ReadToEnd();
    }

    /// <summary>Builds the first program of a package's README in a project that refers to the package, without a warning.</summary>
    /// <param name="name">The package.</param>
    /// <param name="others">Other packages that the program needs, in the version that this repository uses.</param>
    /// <returns>The program's assembly.</returns>
    public async Task<string> BuildExampleAsync(string name, params string[] others)
    {
        string project = Directory.CreateDirectory(_work.File(name)).FullName;
        await DotnetAsync(project, "new", "console", "--name", "example", "--output", ".");
        await DotnetAsync(project, "add", "package", name);
        foreach (string other in others)
        {
            await DotnetAsync(project, "add", "package", other, "--version", VersionOf(other));
        }

        using (ZipArchive package = Open(name, "nupkg"))
        {
            File.WriteAllText(Path.Combine(project, "Program.cs"), Example().Match(ReadMe(package)).Groups[1].Value);
        }

        await DotnetAsync(project, "build", "--output", "program", "-warnAsError");
        return Path.Combine(project, "program", "example.dll");
    }

    private static string VersionOf(string package) => XDocument.Load(Path.Combine(Rig.Repository, "Directory.Packages.props"))
        .Descendants("PackageVersion").Single(version => version.Attribute("Include")!.Value == package).Attribute("Version")!.Value;

    /// <summary>The folder of the packages that the build restored. As a source, it has everything that ours depend on, without a network.</summary>
    private static async Task<string> RestoredAsync()
    {
        (int code, string output) = await ChildProcess.RunAsync("dotnet", "nuget", "locals", "global-packages", "--list");
        Assert.True(code == 0, output);
        return GlobalPackages().Match(output).Groups[1].Value;
    }

    // With a cache of its own: that of the machine may have packages of the same version that were built before.
    private Task DotnetAsync(string project, params string[] arguments) =>
        RunAsync(project, "env", [$"NUGET_PACKAGES={_work.File("cache")}", "MSBUILDDISABLENODEREUSE=1", "dotnet", .. arguments]);

    private static async Task RunAsync(string directory, string file, params string[] arguments)
    {
        await using ChildProcess child = ChildProcess.Start(string.Join(' ', arguments), file, arguments, workingDirectory: directory);
        int code = await child.WaitForExitAsync(s_patience);
        Assert.True(code == 0, $"{child.Name}: exit code {code}\n{child.Errors}");
    }

    [GeneratedRegex("<ProjectReference Include=\".*/(.*)\\.csproj\"")]
    private static partial Regex ProjectReference();

    [GeneratedRegex("^global-packages: (.*)$", RegexOptions.Multiline)]
    private static partial Regex GlobalPackages();

    [GeneratedRegex("^```csharp\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Example();
}
