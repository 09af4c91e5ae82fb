using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>Peers that may connect: those whose address is in a network and whose source port is in a range.</summary>
/// <param name="Network">Their addresses.</param>
/// <param name="FirstPort">The lowest source port, 1 to 65535.</param>
/// <param name="LastPort">The highest source port, <paramref name="FirstPort"/> to 65535.</param>
internal sealed record AllowedPeers(IPNetwork Network, int FirstPort = 1, int LastPort = IPEndPoint.MaxPort)
{
    /// <summary>The form of the text, for help.</summary>
    public const string Form = "CIDR[:PORT[-PORT]]";

    private const string Expected = "expected a network or an address, such as 10.0.0.0/24, 10.0.0.0/24:1-1023 or [fd00::/8]:1-1023";

    private bool TakesEveryPort => FirstPort == 1 && LastPort == IPEndPoint.MaxPort;

    /// <summary>
    /// Reads <c>CIDR</c>, <c>CIDR:PORT</c> or <c>CIDR:PORT-PORT</c>. An IPv6 network with ports is written in brackets. One host needs no prefix length.
    /// </summary>
    /// <param name="text">What a person wrote.</param>
    /// <param name="peers">The peers.</param>
    /// <param name="error">The part that is wrong, and what is expected.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out AllowedPeers? peers, [NotNullWhen(false)] out string? error)
    {
        peers = null;
        (string written, string? ports) = Split(text);
        if (ParseNetwork(written, isBracketed: written != text && text[0] == '[') is not { } network)
        {
            error = $"'{text}' is not a network: {Expected}";
            return false;
        }

        if (ports is null)
        {
            peers = new AllowedPeers(network);
            error = null;
            return true;
        }

        int dash = ports.IndexOf('-', StringComparison.Ordinal);
        (string first, string last) = dash < 0 ? (ports, ports) : (ports[..dash], ports[(dash + 1)..]);
        if (ParsePort(first) is not { } firstPort || ParsePort(last) is not { } lastPort)
        {
            error = $"the port '{(ParsePort(first) is null ? first : last)}' of '{text}' is not a number from 1 to 65535";
            return false;
        }

        if (firstPort > lastPort)
        {
            error = string.Create(CultureInfo.InvariantCulture, $"the ports '{ports}' of '{text}' are reversed: write {lastPort}-{firstPort}");
            return false;
        }

        peers = new AllowedPeers(network, firstPort, lastPort);
        error = null;
        return true;
    }

    /// <summary>Why a peer may not connect, in words; null when it may.</summary>
    /// <param name="peer">Its address and source port; null when they are unknown.</param>
    /// <param name="allowed">Who may connect; empty for everyone.</param>
    public static string? WhyRefused(IPEndPoint? peer, IReadOnlyCollection<AllowedPeers> allowed) =>
        allowed.Count == 0 || (peer is not null && allowed.Any(peers => peers.Contains(peer)))
            ? null
            : $"{peer?.ToString() ?? "the peer's address"} is not in the allowed networks {string.Join(", ", allowed)}";

    /// <inheritdoc/>
    public override string ToString()
    {
        if (TakesEveryPort)
        {
            return Network.ToString();
        }

        string network = Network.BaseAddress.AddressFamily is AddressFamily.InterNetworkV6 ? $"[{Network}]" : Network.ToString();
        return FirstPort == LastPort
            ? string.Create(CultureInfo.InvariantCulture, $"{network}:{FirstPort}")
            : string.Create(CultureInfo.InvariantCulture, $"{network}:{FirstPort}-{LastPort}");
    }

    private bool Contains(IPEndPoint peer) => peer.Port >= FirstPort && peer.Port <= LastPort && Network.Contains(peer.Address);

    /// <summary>The network and the ports as they are written. A colon is part of an IPv6 network that has no brackets.</summary>
    private static (string Network, string? Ports) Split(string text)
    {
        int bracket = text.IndexOf(']', StringComparison.Ordinal);
        if (text.StartsWith('[') && bracket == text.Length - 1)
        {
            return (text[1..bracket], null);
        }

        if (text.StartsWith('[') && bracket > 0 && text[bracket + 1] == ':')
        {
            return (text[1..bracket], text[(bracket + 2)..]);
        }

        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon >= 0 && colon == text.LastIndexOf(':') ? (text[..colon], text[(colon + 1)..]) : (text, null);
    }

    private static IPNetwork? ParseNetwork(string text, bool isBracketed)
    {
        // .NET accepts an address with brackets and ignores a port behind them.
        if (text.AsSpan().ContainsAny('[', ']') || (isBracketed && !text.Contains(':', StringComparison.Ordinal)))
        {
            return null;
        }

        if (IPAddress.TryParse(text, out IPAddress? host))
        {
            return new IPNetwork(host, host.GetAddressBytes().Length * 8);
        }

        return IPNetwork.TryParse(text, out IPNetwork network) ? network : null;
    }

    private static int? ParsePort(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is >= 1 and <= IPEndPoint.MaxPort ? port : null;
}
