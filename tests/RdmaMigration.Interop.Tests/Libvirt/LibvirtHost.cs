using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A libvirtd as a host of its own: <c>docker/peers/libvirt-host</c>. Its machines end with it.</summary>
public sealed class LibvirtHost : IAsyncDisposable
{
    private readonly ChildProcess _process;

    private LibvirtHost(string directory, ChildProcess process)
    {
        Uri = $"qemu+unix:///system?socket={directory}/libvirt-sock";
        _process = process;
    }

    /// <summary>Has libvirt: the release that LIBVIRT_RELEASE names, trixie without it.</summary>
    public static Peer Peer { get; } = new(Environment.GetEnvironmentVariable("LIBVIRT_RELEASE") is { Length: > 0 } release ? release : "trixie");

    /// <summary>What virsh connects to.</summary>
    public string Uri { get; }

    /// <summary>Starts a host and returns when it answers.</summary>
    /// <param name="directory">New, below /dev/shm or /tmp.</param>
    /// <param name="isCapture">Its emulator is the wrapper that this repository ships.</param>
    public static async Task<LibvirtHost> StartAsync(string directory, bool isCapture)
    {
        string script = Path.Combine(Executables.RepositoryRoot, "src", "RdmaMigration.Service", "libvirt", "rdmamig-qemu");
        string[] wrapper = isCapture ? [script, Executables.Rdmamig] : [];
        string start = Path.Combine(Executables.RepositoryRoot, "docker", "peers", "libvirt-host");
        ChildProcess process = ChildProcess.Start("libvirtd", start, [Peer.Release, directory, .. wrapper]);
        LibvirtHost host = new(directory, process);

        // libvirtd probes QEMU before it answers, which takes a minute in an emulated guest on a busy host.
        Task<int> exited = process.WaitForExitAsync(Deadlines.Migration);
        while ((await host.TryAsync("version")).ExitCode != 0)
        {
            if (exited.IsCompleted)
            {
                throw new InvalidOperationException($"libvirtd ended with {await exited}: {process.Errors}");
            }
        }

        _ = exited.ContinueWith(static late => _ = late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return host;
    }

    /// <summary>Runs virsh.</summary>
    public Task<(int ExitCode, string Output)> TryAsync(params string[] arguments) => Peer.RunAsync(["virsh", "-c", Uri, .. arguments]);

    /// <summary>Runs virsh, which must succeed.</summary>
    public async Task<string> RunAsync(params string[] arguments)
    {
        (int exitCode, string output) = await TryAsync(arguments);
        return exitCode == 0 ? output : throw new InvalidOperationException($"virsh {string.Join(' ', arguments)}: {output}");
    }

    /// <summary>The state of a guest, as virsh prints it; null when the guest is not here.</summary>
    public async Task<string?> StateAsync(string guest)
    {
        (int exitCode, string output) = await TryAsync("domstate", guest);
        return exitCode == 0 ? output.Trim() : null;
    }

    /// <summary>What domjobinfo prints, its numbers by name.</summary>
    public async Task<Dictionary<string, long>> StatisticsAsync(string guest, params string[] options)
    {
        (_, string output) = await TryAsync(["domjobinfo", guest, "--rawstats", .. options]);
        Dictionary<string, long> numbers = [];
        foreach (string[] line in output.Split('\n').Select(line => line.Split(": ")))
        {
            if (line is [string name, string value] && long.TryParse(value, CultureInfo.InvariantCulture, out long number))
            {
                numbers[name.Trim()] = number;
            }
        }

        return numbers;
    }

    /// <summary>What the emulators of a guest have written to their standard streams.</summary>
    public Task<string> LogAsync(string guest) => File.ReadAllTextAsync($"/proc/{_process.Id}/root/var/log/libvirt/qemu/{guest}.log");

    /// <summary>Kills the processes of this host that run a program, with SIGKILL.</summary>
    /// <param name="program">A part of the program's path.</param>
    public void Kill(string program)
    {
        string children = Link($"/proc/{_process.Id}/ns/pid_for_children");
        int[] found = [.. Directory.EnumerateDirectories("/proc")
            .Select(path => int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : 0)
            .Where(id => id != 0 && Link($"/proc/{id}/ns/pid") == children && Link($"/proc/{id}/exe").Contains(program, StringComparison.Ordinal))];
        Assert.NotEmpty(found);
        foreach (int id in found)
        {
            using Process process = Process.GetProcessById(id);
            process.Kill();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _process.DisposeAsync();

    /// <summary>Where a link of a process points to; empty when the process is gone.</summary>
    private static string Link(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
