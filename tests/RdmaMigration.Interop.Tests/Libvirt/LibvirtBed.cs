using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Two libvirt hosts: one with QEMU, and one whose emulator is rdmamig.</summary>
public sealed class LibvirtBed : IAsyncLifetime
{
    /// <summary>The guest's name.</summary>
    public const string Guest = "guest";

    private const int Mebibytes = 64;

    private readonly WorkDirectory _work = new();
    private LibvirtHost? _home;
    private LibvirtHost? _capture;

    /// <summary>The host with QEMU.</summary>
    public LibvirtHost Home => _home!;

    /// <summary>The host with rdmamig.</summary>
    public LibvirtHost Capture => _capture!;

    /// <summary>A socket for a migration.</summary>
    public string Socket => _work.File("migration");

    /// <summary>A file that both hosts see.</summary>
    public string File(string name) => _work.File(name);

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        if (LibvirtHost.Peer.Exists)
        {
            DirtyingGuest.WriteImage(File("disk"), first: 1 << 20, end: 4 << 20, pagesPerTick: 256, pagesPerCharacter: 768);
            LibvirtHost[] hosts = await Task.WhenAll(
                LibvirtHost.StartAsync(File("home"), isCapture: false), LibvirtHost.StartAsync(File("capture"), isCapture: true));
            (_home, _capture) = (hosts[0], hosts[1]);
        }
    }

    /// <summary>Starts the guest at home, when it writes to its memory.</summary>
    /// <param name="memtune">The element of that name in its XML; empty for none.</param>
    public async Task StartGuestAsync(string memtune = "")
    {
        Assert.SkipUnless(LibvirtHost.Peer.Exists, LibvirtHost.Peer.HowToMake);
        foreach (LibvirtHost host in (LibvirtHost[])[Home, Capture])
        {
            await host.TryAsync("destroy", Guest);
        }

        System.IO.File.Delete(File("serial"));
        await System.IO.File.WriteAllTextAsync(File("guest.xml"), Xml(memtune));
        await Home.RunAsync("create", File("guest.xml"));
        await GuestRunsAsync();
    }

    /// <summary>Returns when the guest has written to its serial port once more.</summary>
    public async Task GuestRunsAsync()
    {
        long before = SerialLength();
        using CancellationTokenSource deadline = new(Deadlines.Migration);
        using FileSystemWatcher watcher = new(Path.GetDirectoryName(File("serial"))!);
        TaskCompletionSource written = new(TaskCreationOptions.RunContinuationsAsynchronously);
        watcher.Changed += (_, _) => Look();
        watcher.EnableRaisingEvents = true;
        Look();
        await written.Task.WaitAsync(deadline.Token);

        void Look()
        {
            if (SerialLength() > before)
            {
                written.TrySetResult();
            }
        }
    }

    /// <summary>Migrates by virsh.</summary>
    /// <param name="from">The host that has the guest.</param>
    /// <param name="options">Further options. Without --tunnelled and --migrateuri, tcp on this machine.</param>
    public Task<(int ExitCode, string Output)> MigrateAsync(LibvirtHost from, params string[] options)
    {
        // Both hosts have the same host name, which a migration would go to.
        string[] uri = options.Any(option => option is "--tunnelled" or "--migrateuri") ? [] : ["--migrateuri", "tcp://127.0.0.1"];
        string[] peer = options.Contains("--direct") ? [] : ["--p2p"];
        return from.TryAsync(
            ["migrate", "--live", "--unsafe", .. peer, .. options.Where(option => option != "--direct"), Guest, Other(from).Uri, .. uri]);
    }

    /// <summary>Migrates by virsh, which must succeed; afterwards the guest is on the other host only.</summary>
    /// <returns>The guest's state there.</returns>
    public async Task<string> MoveAsync(LibvirtHost from, params string[] options)
    {
        (int exitCode, string output) = await MigrateAsync(from, options);
        Assert.True(exitCode == 0, output);
        Assert.Null(await from.StateAsync(Guest));
        return await Other(from).StateAsync(Guest) ?? throw new InvalidOperationException($"the guest is nowhere: {output}");
    }

    /// <summary>Begins a slow migration and returns when some of the memory has been sent.</summary>
    /// <returns>Its end.</returns>
    public async Task<Task<(int ExitCode, string Output)>> BeginAsync(LibvirtHost from)
    {
        Task<(int ExitCode, string Output)> migration = MigrateAsync(from, "--bandwidth", "1");
        while ((await from.StatisticsAsync(Guest)).GetValueOrDefault("memory_processed") == 0)
        {
            Assert.False(migration.IsCompleted);
        }

        return migration;
    }

    /// <summary>Writes all memory of the guest at home to a file.</summary>
    public async Task<string> SaveMemoryAsync(string name)
    {
        string arguments = $"\"val\":0,\"size\":{Mebibytes << 20},\"filename\":\"{File(name)}\"";
        await Home.RunAsync("qemu-monitor-command", Guest, $"{{\"execute\":\"pmemsave\",\"arguments\":{{{arguments}}}}}");
        return File(name);
    }

    /// <summary>The other one of the two.</summary>
    public LibvirtHost Other(LibvirtHost host) => host == Home ? Capture : Home;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (LibvirtHost? host in (LibvirtHost?[])[_home, _capture])
        {
            if (host is not null)
            {
                await host.DisposeAsync();
            }
        }

        _work.Dispose();
    }

    private long SerialLength() => new FileInfo(File("serial")) is { Exists: true } serial ? serial.Length : 0;

    private string Xml(string memtune) => $"""
        <domain type='qemu'>
          <name>{Guest}</name>
          <memory unit='MiB'>{Mebibytes}</memory>
          {memtune}
          <vcpu>1</vcpu>
          <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
          <devices>
            <emulator>/usr/bin/qemu-system-x86_64</emulator>
            <disk type='file'><driver name='qemu' type='raw'/><source file='{File("disk")}'/><target dev='hda' bus='ide'/></disk>
            <serial type='file'><source path='{File("serial")}' append='on'/></serial>
          </devices>
        </domain>
        """;
}
