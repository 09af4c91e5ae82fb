namespace RdmaMigration.Transport;

/// <summary>What a new connection is.</summary>
internal enum ConnectionKind
{
    /// <summary>It has sent too little to say.</summary>
    Unknown,

    /// <summary>A source: it began a migration stream.</summary>
    Source,

    /// <summary>One of the extra connections of a source with capability multifd.</summary>
    MultifdChannel,

    /// <summary>A client that wants TLS.</summary>
    TlsClient,

    /// <summary>Anything else.</summary>
    Stranger,
}

/// <summary>Tells by its first bytes what a connection is. All numbers are big endian.</summary>
internal static class FirstBytes
{
    /// <summary>Bytes that decide in every case.</summary>
    public const int Length = 4;

    /// <summary>QEMU's QEMU_VM_FILE_MAGIC, 0x5145564d.</summary>
    private static ReadOnlySpan<byte> Stream => "QEVM"u8;

    /// <summary>QEMU's MULTIFD_MAGIC, 0x11223344.</summary>
    private static ReadOnlySpan<byte> Multifd => [0x11, 0x22, 0x33, 0x44];

    /// <summary>A TLS record of type handshake (22), major version 3.</summary>
    private static ReadOnlySpan<byte> Tls => [0x16, 0x03];

    /// <summary>What the first bytes show; <see cref="ConnectionKind.Unknown"/> while they fit more than one answer.</summary>
    public static ConnectionKind Classify(ReadOnlySpan<byte> first) =>
        Fits(first, Stream) ? Decided(first, Stream, ConnectionKind.Source)
        : Fits(first, Multifd) ? Decided(first, Multifd, ConnectionKind.MultifdChannel)
        : Fits(first, Tls) ? Decided(first, Tls, ConnectionKind.TlsClient)
        : ConnectionKind.Stranger;

    private static bool Fits(ReadOnlySpan<byte> first, ReadOnlySpan<byte> pattern)
    {
        int common = Math.Min(first.Length, pattern.Length);
        return first[..common].SequenceEqual(pattern[..common]);
    }

    private static ConnectionKind Decided(ReadOnlySpan<byte> first, ReadOnlySpan<byte> pattern, ConnectionKind kind) =>
        first.Length >= pattern.Length ? kind : ConnectionKind.Unknown;
}
