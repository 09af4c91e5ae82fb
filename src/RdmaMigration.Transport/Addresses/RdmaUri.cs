namespace RdmaMigration.Transport;

/// <summary>
/// A migration address of the form <c>rdma:HOST:PORT</c>. An IPv6 address stands in brackets; an empty host means every address, of both families.
/// </summary>
/// <param name="Host">A host name or address, without brackets; empty for every address.</param>
/// <param name="Port">The port in RDMA_PS_TCP, 1 to 65535 (0 lets the connection manager choose).</param>
internal sealed record RdmaUri(string Host, int Port) : HostUri(Host, Port)
{
    internal const string SchemeName = "rdma";
    internal const string Form = "rdma:HOST:PORT[,ipv4[=on|off]][,ipv6[=on|off]]";

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <inheritdoc/>
    public override bool IsRdma => true;

    /// <summary>Reads <c>rdma:HOST:PORT[,ipv4[=on|off]][,ipv6[=on|off]]</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new RdmaUri Parse(string text)
    {
        Parts parts = ParseParts(text, SchemeName, Form);
        return new RdmaUri(parts.Host, parts.Port) { Ipv4 = parts.Ipv4, Ipv6 = parts.Ipv6 };
    }
}
