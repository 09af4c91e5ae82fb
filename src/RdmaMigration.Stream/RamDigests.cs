using System.Buffers;
using System.Buffers.Binary;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// The section in which a source of this project says what RAM holds (FORMAT.md, Digests of RAM). Kept until RAM is complete, then compared. A QEMU does not
/// know the section and ends the migration at it.
/// </summary>
internal sealed class RamDigests(SourceReader reader, SectionFooters footers, ReceivedRam ram) : ISectionHandler
{
    /// <summary>The section's name.</summary>
    public const string Section = "rdmamig/ram-digest";

    /// <summary>No section of a machine has this number.</summary>
    private const uint Id = uint.MaxValue;

    private const uint Version = 1;

    private readonly Dictionary<string, UInt128> _announced = [];

    /// <summary>How many RAM blocks were compared, and are equal.</summary>
    public int Compared { get; private set; }

    /// <summary>Reads RAM and writes the section, which must come before the END section of "ram".</summary>
    /// <param name="to">Takes the section.</param>
    /// <param name="blocks">RAM as it will be when it is complete. Nothing may write to it meanwhile.</param>
    /// <param name="hasFooters">The stream's sections have footers.</param>
    /// <param name="cancellation">Looked at often.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static void Write(IBufferWriter<byte> to, IReadOnlyList<RamBlock> blocks, bool hasFooters, CancellationToken cancellation)
    {
        SectionHeader header = new(SectionType.Full, Id, Section, 0, Version);
        to.Advance(header.Encode(to.GetSpan(SectionHeader.MaxLength)));
        to.WriteUInt32((uint)blocks.Count);
        foreach (RamBlock block in blocks)
        {
            UInt128 digest = RamDigest.Of(block, cancellation);
            to.WriteName(block.Name);
            to.WriteUInt64((ulong)(digest >> 64));
            to.WriteUInt64((ulong)digest);
        }

        if (hasFooters)
        {
            to.WriteByte(SectionType.Footer);
            to.WriteUInt32(Id);
        }
    }

    /// <inheritdoc/>
    public SectionOutcome Read(in SectionHeader header, ulong at, BigLockState state)
    {
        reader.Step = header.Step;
        if (header.Version != Version)
        {
            throw reader.Unsupported(at, $"version {header.Version} of the digests of RAM, {Version} is known here; turn verify off at the source");
        }

        uint count = reader.ReadUInt32();
        if (count > ram.Blocks.Length)
        {
            throw reader.Malformed(at, $"digests of {count} RAM blocks, of {ram.Blocks.Length} that have been announced");
        }

        for (uint i = 0; i < count; i++)
        {
            string name = reader.ReadName("name of a RAM block");
            UInt128 digest = new(reader.ReadUInt64(), reader.ReadUInt64());
            if (!ram.Blocks.Any(block => block.Name == name) || !_announced.TryAdd(name, digest))
            {
                throw reader.Malformed(at, $"a digest of RAM block '{name}', which was not announced, or has one already");
            }
        }

        footers.Read(header.Id);
        return SectionOutcome.NextSection;
    }

    /// <summary>Compares RAM with the digests that have come. Reads all of it if there are any.</summary>
    /// <param name="blocks">RAM, complete.</param>
    /// <param name="cancellation">Looked at often.</param>
    /// <exception cref="StreamFormatException">A block holds something else than the source's.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Check(RamBlockList blocks, CancellationToken cancellation)
    {
        reader.Step = "verification of RAM";
        foreach (RamBlock block in blocks.Where(block => _announced.ContainsKey(block.Name)))
        {
            UInt128 expected = _announced[block.Name];
            UInt128 found = RamDigest.Of(block, cancellation);
            if (found != expected)
            {
                throw new StreamFormatException(
                    StreamFault.Corrupt,
                    reader.Step,
                    reader.Position,
                    $"RAM block '{block.Name}' is not what the source has: its XXH128 is {Text(found)} here and {Text(expected)} there");
            }

            Compared++;
        }
    }

    private static string Text(UInt128 digest)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, digest);
        return Convert.ToHexStringLower(bytes);
    }
}
