using System.Globalization;
using System.Net;
using System.Net.Sockets;
using RdmaMigration.Verbs;

namespace RdmaMigration.Cli.Doctor;

/// <summary>What libibverbs says of this host: why it is not usable at all, else the devices that it sees.</summary>
internal sealed record VerbsView(string? MissingLibraryReason, IReadOnlyList<DeviceView> Devices)
{
    public static VerbsView Read() => RdmaSupport.MissingLibraryReason is { } reason
        ? new VerbsView(reason, [])
        : new VerbsView(null, [.. RdmaDevice.GetDevices().Select(DeviceView.Read)]);
}

/// <summary>A device by its name in /sys/class/infiniband; without ports, and with the error, when it could not be queried.</summary>
internal sealed record DeviceView(string Name, string NodeGuid, IReadOnlyList<PortView> Ports, bool OnDemandPaging, string? Error = null)
{
    public static DeviceView Read(RdmaDevice device)
    {
        string guid = device.NodeGuid.ToString("x16", CultureInfo.InvariantCulture);
        try
        {
            using DeviceContext context = device.Open();
            DeviceAttributes attributes = context.QueryDevice();
            IEnumerable<PortView> ports = Enumerable.Range(1, attributes.PortCount).Select(number => PortView.Read(context, (byte)number));
            return new DeviceView(device.Name, guid, [.. ports], context.OnDemandPagingSupport.IsSupported);
        }
        catch (VerbsException failed)
        {
            return new DeviceView(device.Name, guid, [], false, failed.Message);
        }
    }
}

/// <summary>A port in ibv_devinfo's words; the MTU in bytes; only the GIDs that are set.</summary>
internal sealed record PortView(byte Number, string State, bool IsActive, string LinkLayer, int ActiveMtu, IReadOnlyList<GidView> Gids)
{
    public static PortView Read(DeviceContext context, byte number)
    {
        PortAttributes port = context.QueryPort(number);
        return new PortView(
            number,
            port.State.ToString().ToUpperInvariant(),
            port.State is PortState.Active or PortState.ActiveDeferred,
            port.LinkLayer.ToString(),
            port.ActiveMtu,
            [.. context.QueryGids(number).Select(GidView.Read)]);
    }
}

/// <summary>A GID with its kind, and on Ethernet the IP address that it stands for and the interface that has it.</summary>
internal sealed record GidView(int Index, string Gid, string Type, string? Address, bool IsLinkLocal, string? NetworkDevice)
{
    /// <summary>An interface of this network namespace has the address. A device is visible in namespaces that its interface does not belong to.</summary>
    public bool IsLocal { get; init; } = true;

    public static GidView Read(GidEntry entry)
    {
        string type = entry.Type switch
        {
            GidType.RoCEv2 => "RoCE v2",
            GidType.RoCEv1 => "RoCE v1",
            _ => "IB",
        };
        IPAddress address = entry.Gid.ToIPAddress();
        bool isAddress = entry.Type is not GidType.InfiniBand;
        return new GidView(
            entry.Index,
            entry.Gid.ToString(),
            type,
            isAddress ? address.ToString() : null,
            address is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv6LinkLocal: true },
            entry.NetworkDevice)
        {
            IsLocal = !isAddress || IsBindable(address),
        };
    }

    /// <summary>Binds to the address, as a listener would, which the kernel allows for addresses of this network namespace only.</summary>
    private static bool IsBindable(IPAddress address)
    {
        using Socket probe = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            probe.Bind(new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException failed)
        {
            return failed.SocketErrorCode is not SocketError.AddressNotAvailable;
        }
    }
}
