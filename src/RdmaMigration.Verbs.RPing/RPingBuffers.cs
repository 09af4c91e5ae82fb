using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace RdmaMigration.Verbs.RPing;

/// <summary>
/// The registered memory of one side, in one region: the message that is sent, the message that is received, the ping's source
/// (client only) and its target. A message advertises memory to the peer: address (8 bytes), key (4), length (4), all big-endian.
/// </summary>
internal sealed unsafe class RPingBuffers : IDisposable
{
    internal const int MessageLength = 16;

    /// <summary>Room for the text before the pattern, with any number in it.</summary>
    internal const int SmallestSize = 27;

    private const char FirstCharacter = 'A';
    private const char LastCharacter = 'z';

    private readonly byte* _memory;
    private readonly MemoryRegion _region;

    internal RPingBuffers(ProtectionDomain domain, int size)
    {
        Size = size;
        nuint length = (nuint)(2 * MessageLength + 2 * size);
        _memory = (byte*)NativeMemory.AllocZeroed(length);
        try
        {
            _region = domain.Register((nint)_memory, length, MemoryAccess.LocalWrite | MemoryAccess.RemoteRead | MemoryAccess.RemoteWrite);
        }
        catch (VerbsException)
        {
            NativeMemory.Free(_memory);
            throw;
        }
    }

    internal int Size { get; }

    internal uint Key => _region.LocalKey;

    internal nint Outgoing => (nint)_memory;

    internal nint Incoming => Outgoing + MessageLength;

    internal nint Source => Incoming + MessageLength;

    internal nint Target => Source + Size;

    internal Span<byte> SourceBytes => new((void*)Source, Size);

    internal Span<byte> TargetBytes => new((void*)Target, Size);

    public void Dispose()
    {
        _region.Dispose();
        NativeMemory.Free(_memory);
    }

    /// <summary>Writes the message that lets the peer reach <paramref name="address"/>.</summary>
    internal void Advertise(nint address)
    {
        Span<byte> message = new((void*)Outgoing, MessageLength);
        BinaryPrimitives.WriteUInt64BigEndian(message, (ulong)address);
        BinaryPrimitives.WriteUInt32BigEndian(message[8..], _region.RemoteKey);
        BinaryPrimitives.WriteUInt32BigEndian(message[12..], (uint)Size);
    }

    /// <summary>Reads the message that the peer sent.</summary>
    internal (ulong Address, uint Key, uint Length) ReadAdvertisement()
    {
        ReadOnlySpan<byte> message = new((void*)Incoming, MessageLength);
        return (
            BinaryPrimitives.ReadUInt64BigEndian(message),
            BinaryPrimitives.ReadUInt32BigEndian(message[8..]),
            BinaryPrimitives.ReadUInt32BigEndian(message[12..]));
    }

    /// <summary>Writes ping number <paramref name="ping"/> into the source: a text, then characters that begin one further each time, then zero.</summary>
    internal void WritePing(int ping)
    {
        Span<byte> bytes = SourceBytes;
        int length = Encoding.ASCII.GetBytes($"rdma-ping-{ping}: ", bytes);
        const int Characters = LastCharacter - FirstCharacter + 1;
        for (int i = length; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(FirstCharacter + (ping + i - length) % Characters);
        }

        bytes[^1] = 0;
    }

    /// <summary>The text of a buffer, up to its zero.</summary>
    internal static string TextOf(ReadOnlySpan<byte> bytes) => Encoding.ASCII.GetString(bytes[..LengthOf(bytes)]);

    /// <summary>Bytes before the first zero.</summary>
    internal static int LengthOf(ReadOnlySpan<byte> bytes) => bytes.IndexOf((byte)0) is >= 0 and int length ? length : bytes.Length;
}
