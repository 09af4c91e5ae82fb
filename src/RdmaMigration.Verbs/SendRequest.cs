using System.Buffers.Binary;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>How a request is carried out. Values are the native ones.</summary>
[Flags]
public enum SendOptions
{
    /// <summary>Completes silently unless it fails.</summary>
    None = 0,

    /// <summary>Starts only when all earlier RDMA reads are done.</summary>
    Fence = 1,

    /// <summary>Completes visibly.</summary>
    Signaled = 2,

    /// <summary>Wakes a peer that waits for solicited completions only.</summary>
    Solicited = 4,

    /// <summary>The bytes are taken when the request is posted: the buffer may be reused at once and needs no registration. Sends and writes only.</summary>
    Inline = 8,
}

/// <summary>A piece of registered memory.</summary>
/// <param name="Address">Where it begins.</param>
/// <param name="Length">In bytes.</param>
/// <param name="LocalKey">The key of the region that it lies in.</param>
public readonly record struct MemorySegment(nint Address, uint Length, uint LocalKey);

/// <summary>A request for a send queue. The memory that it names must stay registered until it has completed.</summary>
public readonly struct SendRequest
{
    internal readonly ulong Id;
    internal readonly uint Opcode;
    internal readonly SendOptions Options;
    internal readonly MemorySegment Segment;
    internal readonly ulong RemoteAddress;
    internal readonly uint RemoteKey;
    internal readonly uint NetworkImmediate;

    private SendRequest(
        uint opcode, ulong id, MemorySegment segment, SendOptions options, ulong remoteAddress = 0, uint remoteKey = 0, uint immediate = 0)
    {
        Id = id;
        Opcode = opcode;
        Options = options;
        Segment = segment;
        RemoteAddress = remoteAddress;
        RemoteKey = remoteKey;
        NetworkImmediate = BinaryPrimitives.ReverseEndianness(immediate);
    }

    /// <summary>Sends bytes into the receive that the peer posted first.</summary>
    /// <param name="id">Comes back as <see cref="WorkCompletion.Id"/>.</param>
    /// <param name="address">Where the bytes are.</param>
    /// <param name="length">In bytes; zero needs no memory.</param>
    /// <param name="localKey">The key of their region.</param>
    /// <param name="options">How.</param>
    public static SendRequest Send(ulong id, nint address, uint length, uint localKey, SendOptions options) =>
        new(Constants.IBV_WR_SEND, id, new(address, length, localKey), options);

    /// <summary>As <see cref="Send"/>, with 32 bits that arrive in the peer's completion.</summary>
    public static SendRequest SendWithImmediate(ulong id, nint address, uint length, uint localKey, uint immediate, SendOptions options) =>
        new(Constants.IBV_WR_SEND_WITH_IMM, id, new(address, length, localKey), options, immediate: immediate);

    /// <summary>Writes bytes into the peer's memory; the peer's program does not notice.</summary>
    /// <param name="id">Comes back as <see cref="WorkCompletion.Id"/>.</param>
    /// <param name="address">Where the bytes are.</param>
    /// <param name="length">In bytes; zero needs neither local memory nor a valid remote key: it only asks whether the peer's device is there.</param>
    /// <param name="localKey">The key of their region.</param>
    /// <param name="remoteAddress">Where they go, in the peer's terms.</param>
    /// <param name="remoteKey">The peer's <see cref="MemoryRegion.RemoteKey"/>.</param>
    /// <param name="options">How.</param>
    public static SendRequest RdmaWrite(
        ulong id, nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, SendOptions options) =>
        new(Constants.IBV_WR_RDMA_WRITE, id, new(address, length, localKey), options, remoteAddress, remoteKey);

    /// <summary>As <see cref="RdmaWrite"/>, but takes one of the peer's receives, which completes with the 32 bits.</summary>
    public static SendRequest RdmaWriteWithImmediate(
        ulong id, nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, uint immediate, SendOptions options) =>
        new(Constants.IBV_WR_RDMA_WRITE_WITH_IMM, id, new(address, length, localKey), options, remoteAddress, remoteKey, immediate);

    /// <summary>Reads the peer's memory into local memory, which must allow local writes.</summary>
    public static SendRequest RdmaRead(
        ulong id, nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, SendOptions options) =>
        new(Constants.IBV_WR_RDMA_READ, id, new(address, length, localKey), options, remoteAddress, remoteKey);
}
