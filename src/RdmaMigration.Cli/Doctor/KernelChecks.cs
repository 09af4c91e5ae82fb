namespace RdmaMigration.Cli.Doctor;

/// <summary>The kernel, the modules that verbs in user space need, and the device file of the connection manager.</summary>
internal static class KernelChecks
{
    /// <summary>Where udev or a container puts the device files of RDMA.</summary>
    public const string DeviceFolder = "/dev/infiniband";

    private const string Group = "kernel";
    private const string ConnectionManager = $"{DeviceFolder}/rdma_cm";

    // The class that a module registers in sysfs proves that it works, whether it is loaded or built in. Unlike /dev, a container sees the host's sysfs.
    private static readonly (string Module, string Proof, string For)[] s_required =
    [
        ("ib_uverbs", "/sys/class/infiniband_verbs", "verbs from user space"),
        ("rdma_ucm", "/sys/class/misc/rdma_cm", "the connection manager from user space"),
    ];

    public static IEnumerable<HostCheck> Run(HostTree tree)
    {
        string release = Release(tree);
        yield return new HostCheck(Group, "kernel", CheckStatus.Ok,
            release.Length > 0 ? $"Linux {release}" : "Linux; /proc is not mounted, so its release is unknown");
        foreach ((string module, string proof, string purpose) in s_required)
        {
            yield return Module(tree, release, module, proof, purpose);
        }

        // Without the module there is no device file either, and the module's line says what to do.
        if (IsPresent(tree, "rdma_ucm", "/sys/class/misc/rdma_cm") || tree.Exists(ConnectionManager))
        {
            yield return DeviceFileFault(tree, "rdma_cm") is (string detail, string fix)
                ? new HostCheck(Group, ConnectionManager, CheckStatus.Missing, detail, fix)
                : new HostCheck(Group, ConnectionManager, CheckStatus.Ok, Permissions(tree.Mode(ConnectionManager)));
        }
    }

    /// <summary>Why this process cannot use a device file in /dev/infiniband whose driver the kernel has, and what to do; null when it can.</summary>
    public static (string Detail, string Fix)? DeviceFileFault(HostTree tree, string name)
    {
        string path = $"{DeviceFolder}/{name}";
        return !tree.Exists(path) ? ($"the kernel has the driver, but there is no device file {path}", ProvideLine(tree, path))
            : !tree.IsReadWrite(path) ? ($"{Permissions(tree.Mode(path))}: this user may not open {path}",
                $"chmod a+rw {path}  (permanently: the udev rules of rdma-core)")
            : null;
    }

    /// <summary>The line that loads a module, or what to do with a kernel that has no such module.</summary>
    public static string LoadLine(HostTree tree, string module, string more = "") => IsShipped(tree, Release(tree), module)
        ? $"modprobe {module}{more}"
        : "boot a distribution's stock kernel, or run in the soft-RoCE guest (docker/softroce)";

    private static string Release(HostTree tree) => tree.ReadLine("/proc/sys/kernel/osrelease") ?? "";

    private static bool IsPresent(HostTree tree, string module, string proof) => tree.Exists($"/sys/module/{module}") || tree.Exists(proof);

    private static string ProvideLine(HostTree tree, string path) => IsContainer(tree)
        ? $"start the container with --device={path}"
        : $"udevadm trigger --action=add --name-match={path}  (in a container: start it with --device={path})";

    private static bool IsContainer(HostTree tree) =>
        tree.Exists("/.dockerenv") || tree.Exists("/run/.containerenv") || tree.Exists("/run/systemd/container");

    private static HostCheck Module(HostTree tree, string release, string module, string proof, string purpose)
    {
        string name = $"module {module}";
        if (tree.Exists($"/sys/module/{module}"))
        {
            return new HostCheck(Group, name, CheckStatus.Ok, "loaded");
        }

        if (tree.Exists(proof))
        {
            return new HostCheck(Group, name, CheckStatus.Ok, "built in");
        }

        string why = !tree.Exists("/sys/class") ? "unknown, since /sys is not mounted"
            : IsShipped(tree, release, module) ? "not loaded"
            : "this kernel does not have it";
        return new HostCheck(Group, name, CheckStatus.Missing, $"{why}; needed for {purpose}",
            tree.Exists("/sys/class") ? LoadLine(tree, module) : "mount -t sysfs sysfs /sys");
    }

    private static bool IsShipped(HostTree tree, string release, string module)
    {
        // depmod's list; module file names may be compressed, and - and _ are the same to modprobe.
        string file = $"/{module.Replace('-', '_')}.ko";
        return tree.ReadLines($"/lib/modules/{release}/modules.dep").Any(line =>
            line.AsSpan(0, Math.Max(0, line.IndexOf(':'))).ToString().Replace('-', '_').Contains(file, StringComparison.Ordinal));
    }

    private static string Permissions(UnixFileMode mode) =>
        string.Create(9, (int)mode, (text, bits) =>
        {
            for (int i = 0; i < text.Length; i++)
            {
                text[i] = (bits & (0x100 >> i)) != 0 ? "rwx"[i % 3] : '-';
            }
        });
}
