namespace RdmaMigration.Transport;

/// <summary>What a descriptor is, as far as a channel behaves differently.</summary>
internal enum DescriptorKind
{
    /// <summary>A stream socket: both directions.</summary>
    Socket,

    /// <summary>A pipe, or a device that is none of blocks: one direction.</summary>
    Pipe,

    /// <summary>A regular file or a block device.</summary>
    File,
}
