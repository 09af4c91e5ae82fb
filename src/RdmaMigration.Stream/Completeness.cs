using System.Buffers;
using System.Text;

namespace RdmaMigration.Streams;

/// <summary>Pages of one RAM block that never came in the stream.</summary>
/// <param name="Block">The block's name.</param>
/// <param name="Pages">How many are missing.</param>
/// <param name="PagesInBlock">How many there are.</param>
/// <param name="FirstOffset">Offset in the block, in bytes, of the first that is missing.</param>
internal sealed record MissingPages(string Block, ulong Pages, ulong PagesInBlock, ulong FirstOffset)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Pages} of the {PagesInBlock} pages of RAM block '{Block}' never came (the first at 0x{FirstOffset:x})";
}

/// <summary>
/// A machine counts as complete only when every page has come. A QEMU sends each page at least once, zero ones included. It keeps pages from the main channel
/// with capability multifd, which a source of machine type 8.0 or older does not announce there, and in mode cpr-transfer. Two devices excuse missing pages.
/// </summary>
internal static class Completeness
{
    /// <summary>
    /// A device with memory that is not plugged in, which the source does not send. Section and RAM block have the same device path before their names, such as
    /// "0000:00:04.0/virtio-mem" and "0000:00:04.0/vmem".
    /// </summary>
    private const string VirtioMem = "virtio-mem";

    /// <summary>How a source keeps pages from this connection.</summary>
    private const string OtherConnections =
        "the source sends pages over other connections (capability multifd) or hands its memory over as descriptors (mode cpr-transfer); turn that off there";

    /// <summary>The subsection of a balloon with free page hints: the source does not send pages that its guest has said are free.</summary>
    private static ReadOnlySpan<byte> FreePageHints => "virtio-balloon-device/free-page-report"u8;

    /// <summary>
    /// Refuses a stream that lacks pages and has no page with content: the source sends those over other connections. Called before device state is read,
    /// while the source can still resume its machine.
    /// </summary>
    /// <exception cref="StreamFormatException">It is such a stream.</exception>
    public static void CheckAtRamEnd(StreamParser parser)
    {
        if (!parser.Ram.SawContent && parser.Ram.Missing() is [{ } first, ..])
        {
            throw Refuse(parser, $"{first}, and no page came with its content: {OtherConnections}");
        }
    }

    /// <summary>Refuses a machine whose pages have not all come, unless a device says why.</summary>
    /// <returns>The pages that the machine does without.</returns>
    /// <exception cref="StreamFormatException">Pages are missing.</exception>
    public static IReadOnlyList<MissingPages> CheckAtEnd(StreamParser parser)
    {
        IReadOnlyList<MissingPages> missing = parser.Ram.Missing();
        bool hasHints = missing.Count > 0 && Mentions(parser, FreePageHints);
        if (missing.FirstOrDefault(block => !IsOfVirtioMem(parser, block.Block) && (!hasHints || GuestMemoryNames.IsOwnedByDevice(block.Block))) is { } first)
        {
            throw Refuse(parser, $"{first}: {OtherConnections}");
        }

        return missing;
    }

    private static bool IsOfVirtioMem(StreamParser parser, string block)
    {
        string device = block[..(block.LastIndexOf('/') + 1)] + VirtioMem;
        return device.Length <= byte.MaxValue && Mentions(parser, [(byte)device.Length, .. Encoding.ASCII.GetBytes(device)]);
    }

    private static bool Mentions(StreamParser parser, ReadOnlySpan<byte> text) =>
        Contains(parser.Opaque.Sections, text) || Contains(parser.Opaque.BeforeRam, text) || Contains(parser.Opaque.DuringRam, text);

    private static bool Contains(ReadOnlySequence<byte> bytes, ReadOnlySpan<byte> text) =>
        new SequenceReader<byte>(bytes).TryReadTo(out ReadOnlySequence<byte> _, text);

    private static StreamFormatException Refuse(StreamParser parser, string detail) => parser.Incomplete("guest memory", detail);
}
