using System.Net;
using System.Net.Sockets;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Relay;

/// <summary>Recognises a relay whose destination is its own source: it would wait for itself, or overwrite what it reads.</summary>
internal static class RelayLoop
{
    /// <summary>The two lead to the same place, as far as shows without asking a name server. Two equal commands are two processes.</summary>
    public static bool Closes(MigrationUri from, MigrationUri to) => (from, to) switch
    {
        (ExecUri, ExecUri) => false,
        (HostUri listens, HostUri connects) => from.Scheme == to.Scheme && listens.Port == connects.Port && IsSameHost(HostOf(listens), connects.Host),
        (UnixUri listens, UnixUri connects) => Path.GetFullPath(listens.Path) == Path.GetFullPath(connects.Path),
        _ => from == to || FileNode.IsSameStorage(FileNode.Of(from), FileNode.Of(to)),
    };

    private static bool IsSameHost(string listens, string connects)
    {
        if (string.Equals(listens, connects, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        if (AddressOf(connects) is not { } to)
        {
            return false;
        }

        // Without a host TCP listens on the addresses of both families, 0.0.0.0 and :: on those of one.
        return listens.Length == 0 ? IsThisHosts(to)
            : AddressOf(listens) is { } at && at.AddressFamily == to.AddressFamily && (IsEveryAddress(at) ? IsThisHosts(to) : at.Equals(to));
    }

    /// <summary>What RDMA listens on without a host.</summary>
    private static string HostOf(HostUri listens) => listens is { IsRdma: true, Host.Length: 0 } ? "0.0.0.0" : listens.Host;

    private static IPAddress? AddressOf(string host) =>
        IPAddress.TryParse(host, out IPAddress? address) ? address
        : host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase)
            ? IPAddress.Loopback
        : null;

    private static bool IsEveryAddress(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    /// <summary>Only a host's own addresses can be bound.</summary>
    private static bool IsThisHosts(IPAddress address)
    {
        try
        {
            // Where the kernel has no IPv6, there is no such socket either.
            using Socket probe = new(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            probe.Bind(new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
