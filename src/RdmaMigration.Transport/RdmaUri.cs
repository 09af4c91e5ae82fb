using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>A migration address of the form <c>rdma:HOST:PORT</c>, as QEMU writes it. An IPv6 address stands in brackets; an empty host means every address.</summary>
/// <param name="Host">A host name or address, without brackets; empty for every address.</param>
/// <param name="Port">The port in RDMA_PS_TCP, 1 to 65535 (0 lets the connection manager choose).</param>
public readonly record struct RdmaUri(string Host, int Port)
{
    /// <summary>Reads <c>rdma:HOST:PORT</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static RdmaUri Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        const string scheme = "rdma:";
        if (!text.StartsWith(scheme, StringComparison.Ordinal))
        {
            throw new FormatException($"'{text}' does not start with 'rdma:'; expected rdma:HOST:PORT");
        }

        string rest = text[scheme.Length..];
        int colon = rest.LastIndexOf(':');
        if (colon < 0)
        {
            throw new FormatException($"'{text}' has no port; expected rdma:HOST:PORT");
        }

        string host = rest[..colon];
        if (host.StartsWith('[') != host.EndsWith(']') || (host.Contains(':', StringComparison.Ordinal) && !host.StartsWith('[')))
        {
            throw new FormatException($"the host of '{text}' is not readable; an IPv6 address stands in brackets, as in rdma:[::1]:4444");
        }

        if (!int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port > 65535)
        {
            throw new FormatException($"the port '{rest[(colon + 1)..]}' of '{text}' is not a number from 0 to 65535");
        }

        return new RdmaUri(host.Trim('[', ']'), port);
    }

    /// <summary>The addresses that the host names, in the resolver's order.</summary>
    /// <exception cref="ConnectFailedException">The name does not resolve.</exception>
    public IReadOnlyList<IPEndPoint> Resolve()
    {
        int port = Port;
        if (Host.Length == 0)
        {
            return [new IPEndPoint(IPAddress.Any, port)];
        }

        try
        {
            return [.. Dns.GetHostAddresses(Host).Select(address => new IPEndPoint(address, port))];
        }
        catch (SocketException unknown)
        {
            throw new ConnectFailedException($"the host '{Host}' does not resolve: {unknown.Message}", unknown);
        }
    }

    /// <inheritdoc/>
    public override string ToString() =>
        Host.Contains(':', StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"rdma:[{Host}]:{Port}")
            : string.Create(CultureInfo.InvariantCulture, $"rdma:{Host}:{Port}");
}
