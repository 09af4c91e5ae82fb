namespace RdmaMigration.Transport;

/// <summary>How long channels other than RDMA wait, how they notice a peer that is gone, and what they must not write to.</summary>
internal sealed record DescriptorChannelOptions
{
    /// <summary>The longest wait for each address of a destination to take the connection.</summary>
    public required TimeSpan ConnectTimeout { get; init; }

    /// <summary>
    /// Silence after which the kernel probes a TCP peer; three probes without an answer end the connection, and so does a peer that acknowledges nothing
    /// for four times as long while bytes are under way. In whole seconds, zero turns it off.
    /// </summary>
    public required TimeSpan KeepAliveInterval { get; init; }

    /// <summary>TLS over TCP; null for none. Other channels have none in any case.</summary>
    public TlsOptions? Tls { get; init; }

    /// <summary>What is sent comes from here: a destination that is the same file is refused before anything of it changes. Null: from no file.</summary>
    public FileNode? Source { get; init; }
}
