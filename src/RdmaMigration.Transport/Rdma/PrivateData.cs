using System.Buffers.Binary;

namespace RdmaMigration.Transport;

/// <summary>
/// The capabilities at the start of the private data of a connection request and its reply, 8 bytes (PROTOCOL.md, Private data).
/// <code>
/// 0  u32 version   1
/// 4  u32 flags     bit 0: PIN_ALL
/// </code>
/// </summary>
internal readonly record struct RdmaCapabilities(uint Version, uint Flags)
{
    public const int Size = 8;
    public const uint CurrentVersion = 1;
    public const uint PinAll = 1;

    public static RdmaCapabilities Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt32BigEndian(source), BinaryPrimitives.ReadUInt32BigEndian(source[4..]));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Version);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], Flags);
    }
}

/// <summary>What a connection is for. Values are on the wire.</summary>
internal enum ConnectionRole : byte
{
    /// <summary>The stream from source to destination, and RAM beside it.</summary>
    Main = 1,

    /// <summary>The stream from destination to source.</summary>
    ReturnPath = 2,
}

/// <summary>
/// What a source of ours says about a connection, behind the capabilities in the private data of its request (PROTOCOL.md, Private data). QEMU reads the
/// capabilities only. A request without it, a QEMU's, is told apart by the magic.
/// <code>
///  0  u32 magic       "rmig"
///  4  u8  version     1
///  5  u8  role        1 main, 2 return path
///  6  u16 reserved    0
///  8  16 bytes        the migration's id, random, the same in all its connections
/// </code>
/// </summary>
internal readonly record struct ConnectionPurpose(ConnectionRole Role, Guid Migration)
{
    public const int Size = 24;

    private const uint Magic = 0x726d6967; // "rmig"
    private const byte CurrentVersion = 1;

    /// <summary>The first connection of a new migration.</summary>
    public static ConnectionPurpose NewMigration() => new(ConnectionRole.Main, Guid.NewGuid());

    /// <summary>Reads it; null where the source says nothing of the kind.</summary>
    /// <param name="privateData">All private data of the request.</param>
    public static ConnectionPurpose? Read(ReadOnlySpan<byte> privateData)
    {
        if (privateData.Length < RdmaCapabilities.Size + Size)
        {
            return null;
        }

        ReadOnlySpan<byte> own = privateData[RdmaCapabilities.Size..];
        return BinaryPrimitives.ReadUInt32BigEndian(own) == Magic && own[4] == CurrentVersion
            ? new ConnectionPurpose((ConnectionRole)own[5], new Guid(own.Slice(8, 16), bigEndian: true))
            : null;
    }

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Magic);
        destination[4] = CurrentVersion;
        destination[5] = (byte)Role;
        BinaryPrimitives.WriteUInt16BigEndian(destination[6..], 0);
        Migration.TryWriteBytes(destination[8..], bigEndian: true, out _);
    }
}
