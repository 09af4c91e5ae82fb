using System.IO.Compression;
using System.Net.Sockets;
using System.Reflection.Metadata;
using System.Runtime.InteropServices;
using System.Text;
using System.Xml.Linq;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The content of the packages, and the programs of their READMEs, built and run outside the repository.</summary>
public sealed class PackageTests(Packages packages) : IClassFixture<Packages>
{
    private static readonly Guid s_embeddedSource = new("0E8A571B-6926-466E-B4AD-8AB04611F5FE");

    private static readonly string s_platform = $"linux-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}";

    public static TheoryData<string> Names => [.. Packages.Projects.Keys];

    [Fact]
    public void Every_packable_project_is_packed()
    {
        string[] files = Directory.GetFiles(Packages.Folder, "*.nupkg");

        Assert.Equal(Packages.Projects.Count, files.Length);
        Assert.All(Packages.Projects.Keys, name => Packages.Open(name, "nupkg").Dispose());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Package_has_documentation_a_licence_a_README_and_its_dependencies_in_its_own_version(string name)
    {
        using ZipArchive package = Packages.Open(name, "nupkg");
        XElement metadata = Assert.Single(NuspecOf(package).Root!.Elements());
        string Value(string element) => Assert.Single(metadata.Elements(), child => child.Name.LocalName == element).Value;

        Assert.Equal("MIT", Value("license"));
        Assert.NotEmpty(Value("description"));
        Assert.NotEmpty(Value("tags"));
        Assert.NotNull(package.GetEntry(Value("readme")));
        Assert.NotNull(package.GetEntry($"lib/net10.0/{name}.dll"));
        Assert.NotNull(package.GetEntry($"lib/net10.0/{name}.xml"));
        // A package's page has no files beside it.
        Assert.DoesNotMatch(@"\]\((?!https://)", Packages.ReadMe(package));

        IEnumerable<string> own = metadata.Descendants()
            .Where(element => element.Name.LocalName == "dependency" && element.Attribute("id")!.Value.StartsWith("RdmaMigration.", StringComparison.Ordinal))
            .Select(element => $"{element.Attribute("id")!.Value} {element.Attribute("version")!.Value}");
        Assert.Equal(Packages.Projects[name].Select(project => $"{project} [{Value("version")}]"), own.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Symbols_have_every_source_and_no_path_of_this_machine(string name)
    {
        using ZipArchive symbols = Packages.Open(name, "snupkg");
        using MemoryStream file = new(Read(symbols.GetEntry($"lib/net10.0/{name}.pdb")!));
        using MetadataReaderProvider provider = MetadataReaderProvider.FromPortablePdbStream(file);
        MetadataReader reader = provider.GetMetadataReader();

        Assert.NotEmpty(reader.Documents);
        Assert.All(reader.Documents, handle => Assert.StartsWith("/_/", reader.GetString(reader.GetDocument(handle).Name), StringComparison.Ordinal));
        Assert.All(reader.Documents, handle => Assert.Contains(
            reader.GetCustomDebugInformation(handle), item => reader.GetGuid(reader.GetCustomDebugInformation(item).Kind) == s_embeddedSource));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void No_file_has_a_path_of_this_machine(string name)
    {
        using ZipArchive package = Packages.Open(name, "nupkg");
        byte[] path = Encoding.UTF8.GetBytes(Rig.Repository);

        Assert.All(package.Entries, entry => Assert.True(Read(entry).AsSpan().IndexOf(path) < 0, $"{entry.FullName} has the path {Rig.Repository}"));
    }

    [Theory]
    [InlineData("RdmaMigration.Verbs", "rdmamig_verbs")]
    [InlineData("RdmaMigration.Linux", "rdmamig_linux")]
    public void Native_library_is_below_runtimes_and_its_archive_is_not(string name, string library)
    {
        using ZipArchive package = Packages.Open(name, "nupkg");

        Assert.Equal($"runtimes/{s_platform}/native/lib{library}.so", Assert.Single(package.Entries, InFolder("runtimes/")).FullName);
        Assert.Equal($"archives/{s_platform}/lib{library}.a", Assert.Single(package.Entries, InFolder("archives/")).FullName);
        Assert.NotNull(package.GetEntry($"buildTransitive/{name}.targets"));
    }

    [Fact]
    public async Task Verbs_example_sends_a_message_over_RDMA_in_the_guest()
    {
        const string Script = """
            dotnet "$1" receive 10.77.0.1:4444 > /tmp/receiver & receiver=$!
            until grep -q listening /tmp/receiver; do kill -0 $receiver || exit 1; sleep 0.2; done
            dotnet "$1" send 10.77.0.1:4444 'hello over RDMA' && wait $receiver && cat /tmp/receiver
            """;
        string program = await packages.BuildExampleAsync("RdmaMigration.Verbs");
        string folder = Path.GetDirectoryName(program)!;

        // Without ICU, which the emulated guest would load for seconds.
        using Rig rig = Rig.RunIn(folder, "--env", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1", "--", "bash", "-c", Script, "-", program);
        (int code, string output, string error) = await rig.End();

        Assert.True(code == 0, error);
        Assert.Equal("listening on 10.77.0.1:4444\nreceived: hello over RDMA\n", output);
        Assert.Equal(
            ["librdmamig_linux.so", "librdmamig_verbs.so"],
            Directory.GetFiles(folder, "librdmamig_*", SearchOption.AllDirectories).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Machine_example_moves_to_another_process()
    {
        string program = await packages.BuildExampleAsync("RdmaMigration.Machine");
        await using RunningExample destination = new(program, "--incoming", "tcp:127.0.0.1:0");
        string uri = (await destination.Line())["listening on ".Length..];
        await using RunningExample source = new(program, uri);

        Assert.StartsWith("moved in ", await source.Line(), StringComparison.Ordinal);
        Assert.Matches("^arrived after [1-9][0-9]* writes$", await destination.Line());
        Assert.Equal((0, 0), (await source.ExitCode(), await destination.ExitCode()));
    }

    [Fact]
    public async Task Service_example_obeys_a_QMP_client()
    {
        string program = await packages.BuildExampleAsync("RdmaMigration.Service");
        string path = Path.ChangeExtension(program, ".qmp");
        await using RunningExample served = new(program, path);
        Assert.Equal($"QMP: {path}", await served.Line());

        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), TestContext.Current.CancellationToken);
        await using (QmpClient client = await QmpClient.OpenAsync(socket))
        {
            await client.ExecuteAsync("stop");
            Assert.Equal("paused", (await client.ExecuteAsync("query-status")).GetProperty("status").GetString());
            await client.ExecuteAsync("quit");
        }

        Assert.Equal(0, await served.ExitCode());
    }

    [Fact]
    public async Task Testcontainers_example_is_a_test_that_passes()
    {
        (await DockerEngine.WithImageAsync(ContainerHosts.Image)).Dispose();
        string program = await packages.BuildExampleAsync("RdmaMigration.Testcontainers", "xunit.v3");
        string results = Path.ChangeExtension(program, ".xml");
        await using ChildProcess tests = ChildProcess.Start("example", "dotnet", [program, "-noLogo", "-noColor", "-xml", results]);
        int code = await tests.WaitForExitAsync(Deadlines.Scale(400));

        Assert.True(code == 0, tests.Errors);
        XElement assembly = Assert.Single(XDocument.Load(results).Root!.Elements("assembly"));
        Assert.Equal(("1", "1"), (assembly.Attribute("total")!.Value, assembly.Attribute("passed")!.Value));
    }

    [Theory]
    [InlineData("RdmaMigration.Linux", "woken", "ENOENT")]
    [InlineData("RdmaMigration.Stream", "timer reads versions 1 to 2")]
    public async Task Example_of_a_package_that_serves_others_prints_what_it_should(string name, params string[] lines)
    {
        string program = await packages.BuildExampleAsync(name);
        (int code, string output) = await ChildProcess.RunAsync("dotnet", program);

        Assert.Equal((0, string.Join('\n', lines) + "\n"), (code, output));
    }

    private static XDocument NuspecOf(ZipArchive package)
    {
        using Stream nuspec = Assert.Single(package.Entries, entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return XDocument.Load(nuspec);
    }

    private static Predicate<ZipArchiveEntry> InFolder(string folder) => entry => entry.FullName.StartsWith(folder, StringComparison.Ordinal);

    private static byte[] Read(ZipArchiveEntry entry)
    {
        using Stream stream = entry.Open();
        using MemoryStream copy = new();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
