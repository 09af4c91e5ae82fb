namespace RdmaMigration.Cli.Doctor;

/// <summary>Devices and ports: is there one that a migration can arrive on.</summary>
internal static class DeviceChecks
{
    private const string Group = "device";

    public static IEnumerable<HostCheck> Run(HostTree tree, VerbsView verbs)
    {
        if (tree.Entries("/sys/class/infiniband").Count == 0 && verbs.Devices.Count == 0)
        {
            yield return new HostCheck(Group, "RDMA device", CheckStatus.Missing, "this host has none", SoftRoceLine(tree));
            yield break;
        }

        // One working port is enough; the others are worth a warning only when it exists.
        bool active = verbs.Devices.Any(device => device.Ports.Any(port => port.IsActive));
        foreach (DeviceView device in verbs.Devices)
        {
            if (device.Error is not null)
            {
                yield return new HostCheck(Group, device.Name, active ? CheckStatus.Warn : CheckStatus.Missing, device.Error,
                    $"ls -l /dev/infiniband; ibv_devinfo -d {device.Name}");
                continue;
            }

            foreach (PortView port in device.Ports)
            {
                yield return Port(tree, device, port, active);
            }
        }
    }

    private static HostCheck Port(HostTree tree, DeviceView device, PortView port, bool anotherIsActive)
    {
        string name = device.Ports.Count == 1 ? device.Name : $"{device.Name} port {port.Number}";
        string? netdev = port.Gids.FirstOrDefault(gid => gid.NetworkDevice is not null)?.NetworkDevice
            ?? tree.ReadLine($"/sys/class/infiniband/{device.Name}/ports/{port.Number}/gid_attrs/ndevs/0");
        string detail = $"{port.State}, {port.LinkLayer}, mtu {port.ActiveMtu}, {Count(port.Gids.Count, "GID")}"
            + (netdev is null ? "" : $", {netdev}") + (device.OnDemandPaging ? ", on-demand paging" : "");
        if (!port.IsActive)
        {
            return new HostCheck(Group, name, anotherIsActive ? CheckStatus.Warn : CheckStatus.Missing, detail,
                netdev is null ? $"rdma link show {device.Name}/{port.Number}" : $"ip link set {netdev} up");
        }

        // On Ethernet an address of the interface becomes a GID; with the link-local one alone no HOST in a URI leads here.
        if (port.LinkLayer == "Ethernet" && port.Gids.All(gid => gid.IsLinkLocal))
        {
            return new HostCheck(Group, name, CheckStatus.Warn, $"{detail}; only link-local addresses",
                $"ip addr add ADDRESS/PREFIX dev {netdev ?? "INTERFACE"}");
        }

        return new HostCheck(Group, name, CheckStatus.Ok, detail);
    }

    private static string SoftRoceLine(HostTree tree)
    {
        string netdev = tree.Entries("/sys/class/net").FirstOrDefault(name => name != "lo" && tree.ReadLine($"/sys/class/net/{name}/operstate") == "up")
            ?? "INTERFACE";
        return KernelChecks.LoadLine(tree, "rdma_rxe",
            $" && modprobe crc32_generic && rdma link add rxe0 type rxe netdev {netdev}  (soft-RoCE; or plug in an RDMA NIC)");
    }

    private static string Count(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";
}
