namespace RdmaMigration.Cli.Doctor;

/// <summary>The kernel, the modules that user-space verbs need, and their device nodes.</summary>
internal static class KernelChecks
{
    private const string Group = "kernel";

    // What each module makes is the proof that it works, whether it is loaded or built in.
    private static readonly (string Module, string Proof, string For)[] s_required =
    [
        ("ib_uverbs", "/sys/class/infiniband_verbs", "verbs from user space"),
        ("rdma_ucm", "/dev/infiniband/rdma_cm", "the connection manager from user space"),
    ];

    public static IEnumerable<HostCheck> Run(HostTree tree)
    {
        string release = tree.ReadLine("/proc/sys/kernel/osrelease") ?? "unknown";
        yield return new HostCheck(Group, "kernel", CheckStatus.Ok, $"Linux {release}");
        foreach ((string? module, string? proof, string? purpose) in s_required)
        {
            yield return Module(tree, release, module, proof, purpose);
        }

        foreach (HostCheck check in Nodes(tree))
        {
            yield return check;
        }
    }

    /// <summary>The line that loads a module, or what to do with a kernel that has no such module.</summary>
    public static string LoadLine(HostTree tree, string module, string more = "")
    {
        string release = tree.ReadLine("/proc/sys/kernel/osrelease") ?? "";
        return IsShipped(tree, release, module)
            ? $"modprobe {module}{more}"
            : "boot a distribution's stock kernel, or run in the soft-RoCE guest (docker/softroce)";
    }

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

        string why = IsShipped(tree, release, module) ? "not loaded" : "this kernel does not have it";
        return new HostCheck(Group, name, CheckStatus.Missing, $"{why}: needed for {purpose}", LoadLine(tree, module));
    }

    private static bool IsShipped(HostTree tree, string release, string module)
    {
        // depmod's list; module file names may be compressed, and - and _ are the same to modprobe.
        string file = $"/{module.Replace('-', '_')}.ko";
        return tree.ReadLines($"/lib/modules/{release}/modules.dep").Any(line =>
            line.AsSpan(0, Math.Max(0, line.IndexOf(':'))).ToString().Replace('-', '_').Contains(file, StringComparison.Ordinal));
    }

    private static IEnumerable<HostCheck> Nodes(HostTree tree)
    {
        const string folder = "/dev/infiniband";
        string[] nodes = tree.Entries(folder).Where(node => node == "rdma_cm" || node.StartsWith("uverbs", StringComparison.Ordinal)).ToArray();
        foreach (string? device in tree.Entries("/sys/class/infiniband_verbs").Where(entry => entry.StartsWith("uverbs", StringComparison.Ordinal)))
        {
            if (!nodes.Contains(device))
            {
                yield return new HostCheck(Group, $"{folder}/{device}", CheckStatus.Missing,
                    "the kernel has the device, /dev has no node for it",
                    "outside a container: udevadm trigger; inside one: start it with --device=/dev/infiniband");
            }
        }

        if (tree.Exists("/sys/module/rdma_ucm") && !nodes.Contains("rdma_cm"))
        {
            yield return new HostCheck(Group, $"{folder}/rdma_cm", CheckStatus.Missing,
                "rdma_ucm is loaded, /dev has no node for it",
                "outside a container: udevadm trigger; inside one: start it with --device=/dev/infiniband");
        }

        foreach (string? node in nodes)
        {
            string path = $"{folder}/{node}";
            string mode = Permissions(tree.Mode(path));
            yield return tree.IsReadWrite(path)
                ? new HostCheck(Group, path, CheckStatus.Ok, mode)
                : new HostCheck(Group, path, CheckStatus.Missing, $"{mode}: this user may not open it",
                    $"chmod a+rw {path}  (for good: a udev rule, as rdma-core ships)");
        }
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
