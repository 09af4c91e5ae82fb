using RdmaMigration.Cli.Doctor;

namespace RdmaMigration.Cli.Tests;

/// <summary>A host laid out in a directory: what the doctor would read of /proc, /sys, /dev and /etc.</summary>
internal sealed class HostLayout : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("doctor");

    public HashSet<string> Libraries { get; } = ["libibverbs.so.1", "librdmacm.so.1", "libssl.so.3"];

    public List<DeviceView> Devices { get; } = [];

    public ulong AvailableRam { get; set; } = 8UL << 30;

    public ulong? MemlockLimit { get; set; }

    public ulong? FileSizeLimit { get; set; }

    public HostReport Examine(ulong? maxRam = null) =>
        HostReport.Examine(
            new HostTree(_root.FullName), new VerbsView(null, Devices), Libraries.Contains, AvailableRam,
            new ProcessLimits(MemlockLimit, FileSizeLimit), maxRam);

    /// <summary>A Debian host with soft-RoCE: nothing is missing.</summary>
    public static HostLayout Able()
    {
        HostLayout host = new HostLayout()
            .With("/proc/sys/kernel/osrelease", "6.1.0-13-amd64")
            .With("/proc/self/uid_map", "         0          0 4294967295")
            .With("/proc/self/status", "Name:\trdmamig\nCapEff:\t0000000000000000")
            .With(
                "/proc/self/maps",
                "7f00-7f01 r--p 00000000 fe:01 42   /usr/lib/libibverbs.so.1.14.44.0\n7f02-7f03 r--p 00000000 fe:01 43   /usr/lib/librdmacm.so.1.3.44.0")
            .With("/etc/os-release", "ID=debian")
            .With(
                "/lib/modules/6.1.0-13-amd64/modules.dep",
                "kernel/drivers/infiniband/core/ib_uverbs.ko:\nkernel/drivers/infiniband/core/rdma_ucm.ko:\nkernel/drivers/infiniband/sw/rxe/rdma_rxe.ko: x.ko")
            .With("/sys/module/ib_uverbs/refcnt", "1")
            .With("/sys/module/rdma_ucm/refcnt", "1")
            .With("/sys/class/infiniband_verbs/uverbs0/ibdev", "rxe0")
            .With("/sys/class/infiniband/rxe0/parent", "eth0")
            .With("/sys/class/net/lo/operstate", "unknown")
            .With("/sys/class/net/eth0/operstate", "up")
            .With("/dev/infiniband/uverbs0", "")
            .With("/dev/infiniband/rdma_cm", "");
        host.Devices.Add(Device("rxe0", Port()));
        return host;
    }

    public static DeviceView Device(string name, params PortView[] ports) => new(name, "5054000000000001", ports, false);

    public static PortView Port(bool active = true, params GidView[] gids) =>
        new(
            1,
            active ? "ACTIVE" : "DOWN",
            active,
            "Ethernet",
            1024,
            gids.Length > 0 ? gids : [new GidView(1, "::ffff:0a00:0005", "RoCE v2", "10.0.0.5", false, "eth0")]);

    public HostLayout With(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_root.FullName + path)!);
        File.WriteAllText(_root.FullName + path, content);
        return this;
    }

    public HostLayout Without(string path)
    {
        if (Directory.Exists(_root.FullName + path))
        {
            Directory.Delete(_root.FullName + path, recursive: true);
        }
        else
        {
            File.Delete(_root.FullName + path);
        }

        return this;
    }

    public void Dispose() => _root.Delete(recursive: true);
}
