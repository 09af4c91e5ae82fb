using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>
/// An address on a network: <c>SCHEME:HOST:PORT</c>, and behind it the options <c>,ipv4</c> and <c>,ipv6</c>, each alone or with <c>=on</c> or <c>=off</c>. An
/// IPv6 address is written in brackets; an empty host means every address.
/// </summary>
/// <param name="Host">A host name or address, without brackets; empty for every address.</param>
/// <param name="Port">0 to 65535; a listener at port 0 gets a free one.</param>
internal abstract record HostUri(string Host, int Port) : MigrationUri
{
    private const string OnOff = "on or off";

    private IReadOnlyList<IPAddress>? _found;

    /// <summary>The option <c>ipv4</c>: on, off, or not given. On, without <c>ipv6</c>, leaves IPv4 alone.</summary>
    public bool? Ipv4 { get; init; }

    /// <summary>The option <c>ipv6</c>: on, off, or not given. On, without <c>ipv4</c>, leaves IPv6 alone.</summary>
    public bool? Ipv6 { get; init; }

    private bool TakesIpv4 => Ipv4 ?? Ipv6 is not true;

    private bool TakesIpv6 => Ipv6 ?? Ipv4 is not true;

    /// <summary>What it lacks to be connected to, in words; null when it lacks nothing. To listen, it lacks nothing.</summary>
    public string? Lacks => Host.Length == 0 ? $"{this} names no host" : Port == 0 ? $"{this} names no port" : null;

    /// <summary>The addresses to connect to, in the resolver's order.</summary>
    /// <param name="cancel">Ends the wait for the resolver.</param>
    /// <exception cref="ConnectFailedException">The name does not resolve, or to no address of the families that the options leave.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public IReadOnlyList<IPEndPoint> Resolve(CancellationToken cancel = default)
    {
        IReadOnlyList<IPAddress> all = _found ?? LookUpAsync(cancel).GetAwaiter().GetResult();
        IPEndPoint[] fitting = [.. all.Distinct().Where(Takes).Select(address => new IPEndPoint(address, Port))];
        return fitting.Length > 0
            ? fitting
            : throw new ConnectFailedException($"the host '{Host}' has no {(TakesIpv6 ? "IPv6" : "IPv4")} address, and {this} asks for one");
    }

    /// <summary>The same address with its host resolved, so that whoever uses it does not wait for the resolver.</summary>
    /// <param name="cancel">Ends the wait for the resolver.</param>
    /// <exception cref="ConnectFailedException">The name does not resolve.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task<HostUri> WithAddressesAsync(CancellationToken cancel) =>
        Host.Length == 0 ? this : this with { _found = await LookUpAsync(cancel).ConfigureAwait(false) };

    /// <summary>
    /// The addresses to listen at: all that the host names. For an empty host the first of these that can be bound: [::], which takes both families where
    /// <see cref="IsDual"/> says so, and 0.0.0.0.
    /// </summary>
    /// <exception cref="ConnectFailedException">The name does not resolve, or to no address of the families that the options leave.</exception>
    public IReadOnlyList<IPEndPoint> ResolveToListen() => Host.Length > 0
        ? Resolve()
        : [.. ((IPAddress[])[IPAddress.IPv6Any, IPAddress.Any]).Where(Takes).Select(address => new IPEndPoint(address, Port))];

    /// <summary>Whether a socket that listens at an address takes both families, as QEMU's do.</summary>
    public bool IsDual(IPAddress address) => address.Equals(IPAddress.IPv6Any) && TakesIpv4 && TakesIpv6;

    /// <exception cref="ConnectFailedException">It cannot be connected to.</exception>
    internal void ThrowIfNoDestination()
    {
        if (Lacks is { } lack)
        {
            throw new ConnectFailedException($"cannot connect: {lack}");
        }
    }

    /// <inheritdoc/>
    public sealed override string ToString()
    {
        string host = Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host;
        return string.Create(CultureInfo.InvariantCulture, $"{Scheme}:{host}:{Port}{Written("ipv4", Ipv4)}{Written("ipv6", Ipv6)}");
    }

    /// <summary>The parts of <c>SCHEME:HOST:PORT[,ipv4[=on|off]][,ipv6[=on|off]]</c>.</summary>
    private protected readonly record struct Parts(string Host, int Port, bool? Ipv4, bool? Ipv6);

    /// <summary>Reads <c>SCHEME:HOST:PORT[,ipv4[=on|off]][,ipv6[=on|off]]</c>.</summary>
    /// <exception cref="FormatException">The text has another form, or its options leave no address.</exception>
    private protected static Parts ParseParts(string text, string scheme, string form)
    {
        string[] all = AfterScheme(text, scheme, form).Split(',');
        (string host, int port) = ParseHostAndPort(all[0], text, scheme, form);
        bool? ipv4 = null;
        bool? ipv6 = null;
        foreach (string option in all.AsSpan(1))
        {
            int equals = option.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? option : option[..equals];
            string value = equals < 0 ? "on" : option[(equals + 1)..];
            if (name is not ("ipv4" or "ipv6"))
            {
                throw new FormatException($"'{text}' has no option '{name}'; expected ipv4 or ipv6, {OnOff}");
            }

            bool isOn = value switch
            {
                "on" => true,
                "off" => false,
                _ => throw new FormatException($"the option '{name}' of '{text}' is '{value}'; expected {OnOff}"),
            };
            if (name == "ipv4")
            {
                ipv4 = isOn;
            }
            else
            {
                ipv6 = isOn;
            }
        }

        ThrowIfNothingIsLeft(text, host, ipv4, ipv6);
        return new Parts(host, port, ipv4, ipv6);
    }

    private static void ThrowIfNothingIsLeft(string text, string host, bool? ipv4, bool? ipv6)
    {
        if (ipv4 is false && ipv6 is false)
        {
            throw new FormatException($"'{text}' has both ipv4=off and ipv6=off, which leaves no address; turn one on");
        }

        if (IPAddress.TryParse(host, out IPAddress? address))
        {
            bool isIpv6 = address.AddressFamily is AddressFamily.InterNetworkV6;
            (bool? own, bool? other) = isIpv6 ? (ipv6, ipv4) : (ipv4, ipv6);
            if (own is false || (own is null && other is true))
            {
                throw new FormatException(
                    $"'{text}' excludes its own address {address}, which is one of {(isIpv6 ? "IPv6" : "IPv4")}; remove "
                        + $"{(own is false ? "'=off'" : $"'{(isIpv6 ? "ipv4" : "ipv6")}'")}");
            }
        }
    }

    private static string Written(string option, bool? value) => value is { } isOn ? $",{option}={(isOn ? "on" : "off")}" : "";

    private async Task<IReadOnlyList<IPAddress>> LookUpAsync(CancellationToken cancel)
    {
        if (IPAddress.TryParse(Host, out IPAddress? written))
        {
            return [written];
        }

        try
        {
            return await Dns.GetHostAddressesAsync(Host, cancel).ConfigureAwait(false);
        }
        catch (Exception unknown) when (unknown is SocketException or ArgumentException)
        {
            throw new ConnectFailedException($"the host '{Host}' does not resolve: {unknown.Message}; check its spelling, or use an address", unknown);
        }
    }

    private bool Takes(IPAddress address) => address.AddressFamily is AddressFamily.InterNetworkV6 ? TakesIpv6 : TakesIpv4;

    private static (string Host, int Port) ParseHostAndPort(string rest, string text, string scheme, string form)
    {
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
        return inBrackets
            && !inner.AsSpan().ContainsAny("[]/")
            && IPAddress.TryParse(inner, out IPAddress? address)
            && address.AddressFamily is AddressFamily.InterNetworkV6
            ? inner
            : throw new FormatException(
                $"the host '{host}' of '{text}' is invalid; write an IPv6 address, and only an IPv6 address, in brackets, as in {scheme}:[::1]:4444");
    }
}
