namespace RdmaMigration.Cli.Doctor;

/// <summary>
/// The RDMA devices, one by one: a migration can arrive on a device or not, and the first reason why not is the one that is reported. One usable device is
/// enough; the faults of the others are warnings then.
/// </summary>
internal static class DeviceChecks
{
    private const string Group = "device";
    private const string VerbsClass = "/sys/class/infiniband_verbs";

    public static IEnumerable<HostCheck> Run(HostTree tree, VerbsView verbs)
    {
        string[] names = [.. tree.Entries("/sys/class/infiniband").Union(verbs.Devices.Select(device => device.Name))];
        if (names.Length == 0)
        {
            // Without /sys nothing can be said of devices; the modules' lines say so.
            return tree.Exists("/sys/class")
                ? [new HostCheck(Group, "RDMA device", CheckStatus.Missing, "none found; a device may belong to another network namespace", SoftRoceLine(tree))]
                : [];
        }

        Finding[] findings = [.. names.SelectMany(name => Device(tree, verbs, name))];
        bool isOneUsable = Array.Exists(findings, finding => finding.IsUsable);
        return findings.Select(finding => finding.ToCheck(isOneUsable));
    }

    private static IEnumerable<Finding> Device(HostTree tree, VerbsView verbs, string name)
    {
        string? node = tree.Entries(VerbsClass).FirstOrDefault(entry => tree.ReadLine($"{VerbsClass}/{entry}/ibdev") == name);
        if (node is not null && KernelChecks.DeviceFileFault(tree, node) is (string detail, string fix))
        {
            return [Finding.Fault(name, detail, fix)];
        }

        if (verbs.Devices.FirstOrDefault(device => device.Name == name) is { } seen)
        {
            return seen.Error is null
                ? seen.Ports.Select(port => Port(tree, seen, port))
                : [Finding.Fault(name, seen.Error, $"ls -l {KernelChecks.DeviceFolder}; ibv_devinfo -d {name}")];
        }

        // Without the libraries, or without verbs in the kernel, nothing can be said of a device; each has a line of its own.
        return verbs.MissingLibraryReason is null && tree.Exists(VerbsClass)
            ? [Finding.Fault(name, "the kernel has this device, but libibverbs has no driver for it", LibraryChecks.InstallLine(tree))]
            : [];
    }

    private static Finding Port(HostTree tree, DeviceView device, PortView port)
    {
        string name = device.Ports.Count == 1 ? device.Name : $"{device.Name} port {port.Number}";
        string? netdev = port.Gids.FirstOrDefault(gid => gid.NetworkDevice is not null)?.NetworkDevice
            ?? tree.ReadLine($"/sys/class/infiniband/{device.Name}/ports/{port.Number}/gid_attrs/ndevs/0");
        string detail = $"{port.State}, {port.LinkLayer}, mtu {port.ActiveMtu}, {Count(port.Gids.Count, "GID")}"
            + (netdev is null ? "" : $", {netdev}") + (device.OnDemandPaging ? ", on-demand paging" : "");
        if (!port.IsActive)
        {
            return Finding.Fault(name, detail, netdev is null ? $"rdma link show {device.Name}/{port.Number}" : $"ip link set {netdev} up");
        }

        // On RoCE an address of the interface becomes a GID. Where no interface has such an address, a listener cannot bind to it.
        GidView[] addresses = [.. port.Gids.Where(gid => gid is { Address: not null, IsLinkLocal: false })];
        if (addresses.Length > 0 && !Array.Exists(addresses, gid => gid.IsLocal))
        {
            string address = addresses[0].Address!;
            return Finding.Fault(name, $"{detail}; its address {address} belongs to another network namespace",
                $"run rdmamig in the network namespace that has {address}  (a container: --network=host)");
        }

        // With the link-local address alone no HOST in a URI leads here.
        return port.LinkLayer == "Ethernet" && port.Gids.All(gid => gid.IsLinkLocal)
            ? Finding.Caution(name, $"{detail}; only link-local addresses", $"ip addr add ADDRESS/PREFIX dev {netdev ?? "INTERFACE"}")
            : Finding.Good(name, detail);
    }

    private static string SoftRoceLine(HostTree tree)
    {
        string netdev = tree.Entries("/sys/class/net").FirstOrDefault(name => name != "lo" && tree.ReadLine($"/sys/class/net/{name}/operstate") == "up")
            ?? "INTERFACE";
        return KernelChecks.LoadLine(tree, "rdma_rxe",
            $" && modprobe crc32_generic && rdma link add rxe0 type rxe netdev {netdev}  (soft-RoCE; or plug in an RDMA NIC)");
    }

    private static string Count(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";

    /// <summary>What was found of one device or port. Whether a fault is fatal shows only when all were looked at.</summary>
    private sealed record Finding(string Name, CheckStatus Status, string Detail, string? Fix)
    {
        public bool IsUsable => Status is not CheckStatus.Missing;

        public static Finding Good(string name, string detail) => new(name, CheckStatus.Ok, detail, null);

        public static Finding Caution(string name, string detail, string fix) => new(name, CheckStatus.Warn, detail, fix);

        public static Finding Fault(string name, string detail, string fix) => new(name, CheckStatus.Missing, detail, fix);

        public HostCheck ToCheck(bool isOneUsable)
        {
            CheckStatus status = isOneUsable && !IsUsable ? CheckStatus.Warn : Status;
            return new HostCheck(Group, Name, status, Detail, Fix) { IsUsable = IsUsable };
        }
    }
}
