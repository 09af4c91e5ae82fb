namespace RdmaMigration.Transport;

/// <summary>TLS on a TCP connection, as QEMU's object tls-creds-x509 describes it. Both sides show a certificate and check the other's.</summary>
internal sealed record TlsOptions
{
    /// <summary>
    /// Where the files lie: <c>ca-cert.pem</c>, if there is one <c>ca-crl.pem</c>, and <c>server-cert.pem</c> with <c>server-key.pem</c> to receive or
    /// <c>client-cert.pem</c> with <c>client-key.pem</c> to send.
    /// </summary>
    public required string Directory { get; init; }

    /// <summary>At the source: the name that the destination's certificate must have; null for the host that it connects to.</summary>
    public string? Hostname { get; init; }

    /// <summary>At the destination: the distinguished name that the source's certificate must have; null for any.</summary>
    public string? AuthorizedName { get; init; }
}
