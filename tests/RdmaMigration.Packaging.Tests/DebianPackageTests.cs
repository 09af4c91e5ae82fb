using System.Text.Json;
using RdmaMigration.Cli;
using RdmaMigration.Testing;

namespace RdmaMigration.Packaging.Tests;

/// <summary>The Debian package: lintian, and what it does on a plain Debian.</summary>
public sealed class DebianPackageTests : IDisposable
{
    private const string Configuration = "/etc/rdmamig/example.conf";
    private const string Edit = "# edited by the administrator\n";

    // The plain Debian sees this directory of the host.
    private readonly WorkDirectory _work = new("/dev/shm");

    public void Dispose() => _work.Dispose();

    [Fact]
    public async Task Lintian_finds_no_error_and_no_warning()
    {
        (int exitCode, string output) = await ChildProcess.RunAsync(
            "env", "LC_ALL=C.UTF-8", Executables.OnPath("lintian", "lintian"), "--allow-root", "--fail-on", "error,warning", Package.Debian);

        Assert.Equal((0, ""), (exitCode, output));
    }

    [Fact]
    public async Task An_installed_rdmamig_has_its_libraries_and_reports_what_the_host_lacks()
    {
        await using CleanRoot root = await CleanRoot.StartAsync();
        await InstallAsync(root, Package.Debian);

        Assert.Equal(await ChildProcess.RunAsync(Executables.Rdmamig, "--version"), await root.RunAsync("rdmamig", "--version"));
        Assert.Equal("", await root.DoAsync("dpkg", "--verify", "rdmamig"));
        (int exitCode, string report) = await root.RunAsync("rdmamig", "doctor", "--json");

        using JsonDocument parsed = JsonDocument.Parse(report);
        Dictionary<string, string> statuses = parsed.RootElement.GetProperty("checks").EnumerateArray()
            .GroupBy(check => check.GetProperty("name").GetString()!)
            .ToDictionary(checks => checks.Key, checks => checks.First().GetProperty("status").GetString()!);
        Assert.Equal(("ok", "ok"), (statuses["libibverbs.so.1"], statuses["librdmacm.so.1"]));
        Assert.Equal(statuses.ContainsValue("missing") ? ExitCode.HostCannot : ExitCode.Done, exitCode);
    }

    [Fact]
    public async Task An_installed_rdmamig_receives_a_machine_from_which_QEMU_starts()
    {
        await using CleanRoot root = await CleanRoot.StartAsync();
        await InstallAsync(root, Package.Debian);
        QemuOptions machine = new("source", "pc", 64) { MemoryFile = _work.File("source.ram") };
        GuestMemory.Fill(machine.MemoryFile, machine.RamMebibytes, seed: 14, halfZero: true);
        await using QemuMachine source = await QemuMachine.StartAsync(machine);
        string capture = _work.File("captured");
        // RdmamigProcess names this host's program first, which is not in the root.
        string[] wrapper = ["/bin/sh", "-c", $"shift; exec {string.Join(' ', root.Enter)} rdmamig \"$@\"", "sh"];

        await using (RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", capture, ["--once"], wrapper))
        {
            await receiver.TakeAsync(source);
            Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        }

        QemuOptions again = machine with { Name = "restored", MemoryFile = _work.File("restored.ram") };
        await using QemuMachine restored = await QemuMachine.RestoreAsync(again, capture);
        Assert.Equal(-1, GuestMemory.FirstDifference(machine.MemoryFile, again.MemoryFile));
    }

    [Fact]
    public async Task An_upgrade_keeps_an_edited_configuration_and_a_purge_leaves_no_file()
    {
        await using CleanRoot root = await CleanRoot.StartAsync();
        // Debian's packages of the libraries leave a group and files behind, so they are there first and stay.
        await root.DoAsync("apt-get", "install", "-y", "--no-install-recommends", "ibverbs-providers", "libibverbs1", "librdmacm1");
        string[] before = await FilesAsync(root);
        await InstallAsync(root, Package.Debian);
        string original = await root.DoAsync("cat", Configuration);
        await root.DoAsync("sh", "-c", $"printf '{Edit.Trim()}\\n' >> {Configuration}");

        await InstallAsync(root, await NewerPackageAsync("9.9.9-1"));

        Assert.Equal("9.9.9-1\n", await root.DoAsync("dpkg-query", "--show", "--showformat=${Version}\\n", "rdmamig"));
        Assert.Equal(original + Edit, await root.DoAsync("cat", Configuration));

        await root.DoAsync("apt-get", "remove", "-y", "rdmamig");
        Assert.NotEqual(0, (await root.RunAsync("rdmamig", "--version")).ExitCode);
        Assert.Equal(original + Edit, await root.DoAsync("cat", Configuration));
        // dpkg has put the settings of the newer package beside the edited ones.
        Assert.Equal(
            ["/etc/rdmamig", Configuration, $"{Configuration}.dpkg-dist"],
            (await FilesAsync(root)).Where(file => file.Contains("rdmamig", StringComparison.Ordinal)).Order(StringComparer.Ordinal));

        await root.DoAsync("apt-get", "purge", "-y", "rdmamig");
        string[] after = await FilesAsync(root);
        Assert.Empty(after.Except(before));
        Assert.Empty(before.Except(after));
    }

    /// <summary>As a user installs it. apt keeps an edited file of settings when it cannot ask.</summary>
    private async Task InstallAsync(CleanRoot root, string package)
    {
        string visible = _work.File(Path.GetFileName(package));
        if (visible != package)
        {
            File.Copy(package, visible);
        }

        await root.DoAsync("apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", visible);
    }

    /// <summary>All files but those of the package manager itself.</summary>
    private static async Task<string[]> FilesAsync(CleanRoot root)
    {
        string files = await root.DoAsync(
            "find", "/", "-xdev", "(", "-path", "/var/lib/dpkg", "-o", "-path", "/var/lib/apt", "-o", "-path", "/var/cache", "-o", "-path", "/var/log", ")",
            "-prune", "-o", "-print");
        return files.Split('\n');
    }

    /// <summary>The same package with a higher version and other settings.</summary>
    private async Task<string> NewerPackageAsync(string version)
    {
        string tree = _work.File("newer");
        string dpkg = Executables.OnPath("dpkg-deb", "dpkg");
        Assert.Equal((0, ""), await ChildProcess.RunAsync(dpkg, "--raw-extract", Package.Debian, tree));
        string control = Path.Combine(tree, "DEBIAN", "control");
        string[] fields = await File.ReadAllLinesAsync(control);
        await File.WriteAllLinesAsync(
            control, fields.Select(field => field.StartsWith("Version: ", StringComparison.Ordinal) ? $"Version: {version}" : field));
        await File.AppendAllTextAsync(tree + Configuration, "# changed upstream\n");
        string newer = _work.File("newer.deb");
        (int exitCode, string output) = await ChildProcess.RunAsync(dpkg, "--root-owner-group", "-Znone", "--build", tree, newer);
        Assert.True(exitCode == 0, output);
        return newer;
    }
}
