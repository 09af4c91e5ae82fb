using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>An address on a network. An IPv6 address stands in brackets; an empty host means every address, of RDMA every IPv4 address.</summary>
/// <param name="Host">A host name or address, without brackets; empty for every address.</param>
/// <param name="Port">0 to 65535; a listener at port 0 gets a free one.</param>
public abstract record HostUri(string Host, int Port) : MigrationUri
{
    /// <summary>What it lacks to be connected to, in words; null when it lacks nothing. To listen, it lacks nothing.</summary>
    public string? Lacks => Host.Length == 0 ? $"{this} names no host" : Port == 0 ? $"{this} names no port" : null;

    /// <summary>The addresses that the host names, in the resolver's order; for an empty host 0.0.0.0. TCP's listener does without.</summary>
    /// <param name="cancel">Ends the wait for the resolver.</param>
    /// <exception cref="ConnectFailedException">The name does not resolve.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public IReadOnlyList<IPEndPoint> Resolve(CancellationToken cancel = default)
    {
        int port = Port;
        if (Host.Length == 0)
        {
            return [new IPEndPoint(IPAddress.Any, port)];
        }

        if (IPAddress.TryParse(Host, out IPAddress? written))
        {
            return [new IPEndPoint(written, port)];
        }

        try
        {
            return [.. Dns.GetHostAddressesAsync(Host, cancel).GetAwaiter().GetResult().Select(address => new IPEndPoint(address, port))];
        }
        catch (Exception unknown) when (unknown is SocketException or ArgumentException)
        {
            throw new ConnectFailedException($"the host '{Host}' does not resolve: {unknown.Message}; check its spelling, or use an address", unknown);
        }
    }

    /// <exception cref="ConnectFailedException">It cannot be connected to.</exception>
    internal void ThrowIfNoDestination()
    {
        if (Lacks is { } lack)
        {
            throw new ConnectFailedException($"cannot connect: {lack}");
        }
    }

    /// <inheritdoc/>
    public sealed override string ToString() =>
        Host.Contains(':', StringComparison.Ordinal)
            ? string.Create(CultureInfo.InvariantCulture, $"{Scheme}:[{Host}]:{Port}")
            : string.Create(CultureInfo.InvariantCulture, $"{Scheme}:{Host}:{Port}");

    /// <summary>Reads <c>SCHEME:HOST:PORT</c>.</summary>
    /// <exception cref="FormatException">The text has another form.</exception>
    private protected static (string Host, int Port) ParseHostAndPort(string text, string scheme, string form)
    {
        string rest = AfterScheme(text, scheme, form);
        int colon = rest.LastIndexOf(':');
        if (colon < 0)
        {
            throw new FormatException($"'{text}' has no port; expected {form}");
        }

        string host = rest[..colon];
        string port = rest[(colon + 1)..];
        return int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= IPEndPoint.MaxPort
            ? (WithoutBrackets(host, text, scheme), number)
            : throw new FormatException($"the port '{port}' of '{text}' is not a number from 0 to 65535");
    }

    private static string WithoutBrackets(string host, string text, string scheme)
    {
        if (!host.AsSpan().ContainsAny("[]:"))
        {
            return host;
        }

        bool inBrackets = host.Length > 2 && host[0] == '[' && host[^1] == ']';
        string inner = inBrackets ? host[1..^1] : host;
        return inBrackets && !inner.AsSpan().ContainsAny("[]/") && IPAddress.TryParse(inner, out IPAddress? address) && address.AddressFamily is AddressFamily.InterNetworkV6
            ? inner
            : throw new FormatException($"the host '{host}' of '{text}' is not readable; an IPv6 address, and nothing else, stands in brackets, as in {scheme}:[::1]:4444");
    }
}
