using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using RdmaMigration.Machines;

namespace RdmaMigration.Cli.Guest;

/// <summary>What a look at a page of the guest shows.</summary>
internal enum GuestPageState
{
    /// <summary>All of it comes from one write of this page.</summary>
    Whole,

    /// <summary>The bytes do not fit the checksum: a part of the page comes from another write.</summary>
    Torn,

    /// <summary>The bytes fit together, but they are those of another page or of another guest.</summary>
    Foreign,
}

/// <summary>
/// The content of a guest's page: a header and a payload that differs from one write to the next in every word. All numbers are little-endian.
/// The checksum covers everything behind it, so a page of which only a part arrived shows.
/// </summary>
internal static class GuestPage
{
    public const int Size = MachineRam.PageSize;

    private const int ChecksumOffset = 0;
    private const int GuestOffset = 8;
    private const int IndexOffset = 16;
    private const int SequenceOffset = 24;
    private const int EpochOffset = 32;
    private const int PayloadOffset = 64;

    // An odd number with its bits spread: 2^64 divided by the golden ratio.
    private const ulong Spread = 0x9E3779B97F4A7C15;

    /// <summary>Writes a page.</summary>
    /// <param name="page">The page.</param>
    /// <param name="guest">The guest's number, which no other guest has.</param>
    /// <param name="index">The page's index in its block.</param>
    /// <param name="sequence">1 for the first write of this page, then one more each.</param>
    /// <param name="epoch">How often the guest has moved before this write.</param>
    public static void Write(Span<byte> page, ulong guest, ulong index, ulong sequence, uint epoch)
    {
        ulong seed = (guest ^ (index * Spread)) + (sequence << 32);
        Vector256<ulong> word = Vector256.Create(seed) + (Vector256<ulong>.Indices * Spread);
        Vector256<ulong> step = Vector256.Create(unchecked(4 * Spread));
        foreach (ref Vector256<ulong> words in MemoryMarshal.Cast<byte, Vector256<ulong>>(page[PayloadOffset..]))
        {
            words = word;
            word += step;
        }

        page[EpochOffset..PayloadOffset].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(page[EpochOffset..], epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(page[SequenceOffset..], sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(page[IndexOffset..], index);
        BinaryPrimitives.WriteUInt64LittleEndian(page[GuestOffset..], guest);
        BinaryPrimitives.WriteUInt64LittleEndian(page[ChecksumOffset..], Checksum(page));
    }

    /// <summary>The sequence number that the page carries; of use only if the page is whole.</summary>
    public static ulong SequenceOf(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt64LittleEndian(page[SequenceOffset..]);

    /// <summary>Looks at a page that nobody writes meanwhile.</summary>
    public static GuestPageState Check(ReadOnlySpan<byte> page, ulong guest, ulong index) =>
        BinaryPrimitives.ReadUInt64LittleEndian(page[ChecksumOffset..]) != Checksum(page) ? GuestPageState.Torn
        : BinaryPrimitives.ReadUInt64LittleEndian(page[GuestOffset..]) != guest
            || BinaryPrimitives.ReadUInt64LittleEndian(page[IndexOffset..]) != index ? GuestPageState.Foreign
        : GuestPageState.Whole;

    private static ulong Checksum(ReadOnlySpan<byte> page) => XxHash3.HashToUInt64(page[GuestOffset..]);
}
