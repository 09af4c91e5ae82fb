namespace RdmaMigration.Transport;

/// <summary>
/// A migration address of the form <c>tcp:HOST:PORT</c>. An IPv6 address stands in brackets; an empty host means every address, of both families.
/// </summary>
/// <param name="Host">A host name or address, without brackets; empty for every address.</param>
/// <param name="Port">1 to 65535 (a listener at 0 gets a free port).</param>
internal sealed record TcpUri(string Host, int Port) : HostUri(Host, Port)
{
    internal const string SchemeName = "tcp";
    internal const string Form = "tcp:HOST:PORT[,ipv4[=on|off]][,ipv6[=on|off]]";

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <summary>Reads <c>tcp:HOST:PORT[,ipv4[=on|off]][,ipv6[=on|off]]</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new TcpUri Parse(string text)
    {
        Parts parts = ParseParts(text, SchemeName, Form);
        return new TcpUri(parts.Host, parts.Port) { Ipv4 = parts.Ipv4, Ipv6 = parts.Ipv6 };
    }
}
