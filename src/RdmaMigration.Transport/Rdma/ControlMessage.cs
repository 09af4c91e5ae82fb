using System.Buffers.Binary;

namespace RdmaMigration.Transport;

/// <summary>The types of control messages as they are on the wire, counted from 0 (PROTOCOL.md, Control messages).</summary>
internal enum ControlMessageType : uint
{
    /// <summary>Never sent.</summary>
    None = 0,

    /// <summary>Either side gives up.</summary>
    Error = 1,

    /// <summary>Reader to writer: a credit for one message.</summary>
    Ready = 2,

    /// <summary>Bytes of the migration stream.</summary>
    QemuFile = 3,

    /// <summary>The source asks for the destination's RAM blocks.</summary>
    RamBlocksRequest = 4,

    /// <summary>The destination's RAM blocks, one <see cref="DestinationBlock"/> each.</summary>
    RamBlocksResult = 5,

    /// <summary>A range that holds one byte value, see <see cref="CompressRequest"/>.</summary>
    Compress = 6,

    /// <summary>The source asks for chunks to be registered, see <see cref="RegisterRequest"/>.</summary>
    RegisterRequest = 7,

    /// <summary>The key of registered chunks, see <see cref="RegisterResult"/>.</summary>
    RegisterResult = 8,

    /// <summary>The RDMA phase ends; the byte stream goes on.</summary>
    RegisterFinished = 9,

    /// <summary>The source gives registered chunks back.</summary>
    UnregisterRequest = 10,

    /// <summary>The chunks are deregistered.</summary>
    UnregisterFinished = 11,
}

/// <summary>
/// The 16 bytes in front of every control message (PROTOCOL.md, Control messages). All integers of the control protocol are big-endian.
/// <code>
///  0  u32 len      payload bytes, without this header
///  4  u32 type     <see cref="ControlMessageType"/>
///  8  u32 repeat   commands in the payload; arbitrary in QEMU 7.2's QEMU_FILE
/// 12  u32 padding  arbitrary
/// </code>
/// </summary>
internal readonly record struct ControlHeader(uint Length, ControlMessageType Type, uint Repeat)
{
    public const int Size = 16;

    /// <summary>The largest SEND, header included: the size of QEMU's control buffers (PROTOCOL.md, Control messages).</summary>
    public const int MaxMessage = 512 * 1024;

    public const int MaxPayload = MaxMessage - Size;

    /// <summary>The most commands a message may carry (PROTOCOL.md, Control messages).</summary>
    public const int MaxRepeat = 4096;

    public static ControlHeader Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt32BigEndian(source),
        (ControlMessageType)BinaryPrimitives.ReadUInt32BigEndian(source[4..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[8..]));

    /// <summary>The header of a message that has arrived, whose length it must state.</summary>
    /// <exception cref="ControlProtocolException">The message is shorter than a header, or has another length than its header says.</exception>
    public static ControlHeader Parse(ReadOnlySpan<byte> message, string peer)
    {
        if (message.Length < Size)
        {
            throw new ControlProtocolException($"control message: {peer} sent {message.Length} bytes; expected at least the header's {Size}");
        }

        ControlHeader header = Read(message);
        return header.Length == message.Length - Size
            ? header
            : throw new ControlProtocolException(
                $"control message: {peer} sent a payload of {header.Length} bytes in the header of {header.Type}; expected the {message.Length - Size} that "
                    + "arrived");
    }

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Length);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], (uint)Type);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], Repeat);
        BinaryPrimitives.WriteUInt32BigEndian(destination[12..], 0);
    }
}

/// <summary>
/// One RAM block of the destination in RAM_BLOCKS_RESULT, 32 bytes (PROTOCOL.md, Control messages).
/// <code>
///  0  u64 address   where the block's first byte is under the remote keys
///  8  u64 offset    what the source adds to its offsets in REGISTER and COMPRESS; as a destination we answer 0 (PROTOCOL.md, Block order)
/// 16  u64 length    bytes
/// 24  u32 rkey      of the whole block with pin-all, else 0
/// 28  u32 padding
/// </code>
/// </summary>
internal readonly record struct DestinationBlock(ulong Address, ulong Offset, ulong Length, uint RemoteKey)
{
    public const int Size = 32;

    public static DestinationBlock Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64BigEndian(source),
        BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[16..]),
        BinaryPrimitives.ReadUInt32BigEndian(source[24..]));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, Address);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Offset);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], Length);
        BinaryPrimitives.WriteUInt32BigEndian(destination[24..], RemoteKey);
        BinaryPrimitives.WriteUInt32BigEndian(destination[28..], 0);
    }
}

/// <summary>
/// One command of REGISTER_REQUEST or UNREGISTER_REQUEST, 24 bytes (PROTOCOL.md, Control messages).
/// <code>
///  0  u64 key      REGISTER: offset in the block plus the block's offset; UNREGISTER: a chunk number
///  8  u32 index    of the block
/// 12  u32 padding  arbitrary
/// 16  u64 chunks   further sequential chunks after the first
/// </code>
/// </summary>
internal readonly record struct RegisterRequest(ulong Key, uint BlockIndex, ulong Chunks)
{
    public const int Size = 24;

    public static RegisterRequest Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt64BigEndian(source),
        BinaryPrimitives.ReadUInt32BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[16..]));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, Key);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], BlockIndex);
        BinaryPrimitives.WriteUInt32BigEndian(destination[12..], 0);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], Chunks);
    }
}

/// <summary>
/// REGISTER_RESULT, 16 bytes, always one (PROTOCOL.md, Registration).
/// <code>
/// 0  u32 rkey
/// 4  u32 padding
/// 8  u64 address   of the block's first byte, not of the chunk's
/// </code>
/// </summary>
internal readonly record struct RegisterResult(uint RemoteKey, ulong BlockAddress)
{
    public const int Size = 16;

    public static RegisterResult Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt32BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, RemoteKey);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], 0);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], BlockAddress);
    }
}

/// <summary>
/// COMPRESS, 24 bytes (PROTOCOL.md, Control messages).
/// <code>
///  0  u32 value    the fill byte; QEMU sends 0
///  4  u32 index    of the block
///  8  u64 offset   in the block, plus the block's offset
/// 16  u64 length   bytes
/// </code>
/// </summary>
internal readonly record struct CompressRequest(uint Value, uint BlockIndex, ulong Offset, ulong Length)
{
    public const int Size = 24;

    public static CompressRequest Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadUInt32BigEndian(source),
        BinaryPrimitives.ReadUInt32BigEndian(source[4..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(source[16..]));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Value);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], BlockIndex);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Offset);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], Length);
    }
}
