using System.Runtime.InteropServices;

namespace RdmaMigration.Streams;

/// <summary>A run of unmanaged or pinned memory. Its layout is that of struct iovec, so a span of them can be handed to writev(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly unsafe struct IoSegment
{
    /// <summary>Describes <paramref name="length"/> bytes at <paramref name="address"/>; the memory stays the caller's.</summary>
    public IoSegment(byte* address, nuint length)
    {
        Address = address;
        Length = length;
    }

    /// <summary>The first byte.</summary>
    public byte* Address { get; }

    /// <summary>Bytes in the run.</summary>
    public nuint Length { get; }

    /// <summary>The run as a span; it must be shorter than 2 GiB.</summary>
    public ReadOnlySpan<byte> AsSpan() => new(Address, checked((int)Length));
}
