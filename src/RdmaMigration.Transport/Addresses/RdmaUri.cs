namespace RdmaMigration.Transport;

/// <summary>A migration address of the form <c>rdma:HOST:PORT</c>. An IPv6 address stands in brackets; an empty host means every IPv4 address.</summary>
/// <param name="Host">A host name or address, without brackets; empty for every IPv4 address.</param>
/// <param name="Port">The port in RDMA_PS_TCP, 1 to 65535 (0 lets the connection manager choose).</param>
public sealed record RdmaUri(string Host, int Port) : HostUri(Host, Port)
{
    internal const string SchemeName = "rdma";
    internal const string Form = "rdma:HOST:PORT";

    /// <inheritdoc/>
    public override string Scheme => SchemeName;

    /// <summary>Reads <c>rdma:HOST:PORT</c>.</summary>
    /// <exception cref="FormatException">The text has another form; the message names the part and what is expected.</exception>
    public static new RdmaUri Parse(string text)
    {
        (string host, int port) = ParseHostAndPort(text, SchemeName, Form);
        return new RdmaUri(host, port);
    }
}
