using System.Buffers;
using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Writes a migration stream in steps: <see cref="Begin"/>; <see cref="WriteRamStart"/>; <see cref="WriteRamPass"/> as often as RAM is gone over, the last
/// one as such;
/// <see cref="WriteDevices"/>; <see cref="End"/>. Without the first and the last step the sections are those of a nested stream. One thread at a time.
/// </summary>
/// <param name="sink">Where the bytes go; it is neither flushed nor closed.</param>
internal sealed class OutgoingStream(IStreamSink sink)
{
    /// <summary>The value of the PING that follows OPEN_RETURN_PATH; QEMU sends the same.</summary>
    public const uint PingValue = 1;

    private readonly SinkBuffer _to = new(sink);

    /// <summary>Moves RAM beside the stream; null for pages in the stream.</summary>
    public IRamCarrier? Carrier { get; init; }

    /// <summary>Told after each batch of pages, on the writing thread; may be null.</summary>
    public Action<CaptureProgress>? Progress { get; init; }

    /// <summary>Looked at before each batch of pages.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Bytes handed to the sink.</summary>
    public ulong Written => _to.Written;

    /// <summary>Bytes of RAM that were written as zero pages; 0 when RAM goes beside the stream.</summary>
    public ulong RamZero { get; private set; }

    /// <summary>
    /// Bytes of RAM that were written, zero pages and holes included, each page as often as it was written; 0 when RAM goes beside the stream.
    /// </summary>
    public ulong RamDone { get; private set; }

    /// <summary>Writes the header and the configuration.</summary>
    public void Begin(StreamConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        _to.Bytes.WriteUInt32(Wire.Magic);
        _to.Bytes.WriteUInt32(Wire.Version);
        _to.Append(configuration.Encoded.Span);
    }

    /// <summary>Asks the destination to answer on the return path.</summary>
    public void OpenReturnPath()
    {
        WriteCommand(MigrationCommand.OpenReturnPath, 0);
        WritePing(PingValue);
    }

    /// <summary>Asks the destination to answer on the return path once it has come to this place, and hands over all that was collected.</summary>
    /// <exception cref="IOException">The sink failed.</exception>
    public void Ping(uint value)
    {
        WritePing(value);
        _to.Flush();
    }

    /// <summary>Announces that the machine has stopped, for machine types of QEMU 10.0 and later.</summary>
    public void SwitchOver() => WriteCommand(MigrationCommand.SwitchoverStart, 0);

    /// <summary>Writes whole sections, with headers and footers, as they are.</summary>
    public void WriteSections(ReadOnlySequence<byte> sections) => _to.Append(sections);

    /// <summary>
    /// Writes the START section of "ram": the block list. Page sizes are left out, as POSTCOPY_ADVISE is; guest addresses stay, as the capability does.
    /// </summary>
    /// <param name="ram">The form of RAM's sections.</param>
    /// <param name="announced">The blocks as they are announced.</param>
    /// <param name="blocks">The blocks, in the same order.</param>
    /// <exception cref="IOException">The sink or the carrier failed.</exception>
    public void WriteRamStart(RamSectionForm ram, IReadOnlyList<RamBlockDescription> announced, RamBlockList blocks)
    {
        ArgumentNullException.ThrowIfNull(announced);
        ArgumentNullException.ThrowIfNull(blocks);
        WriteHeader(ram, SectionType.Start);
        _to.Bytes.WriteUInt64(blocks.TotalLength | RamFlags.MemSize);
        foreach (RamBlockDescription block in announced)
        {
            _to.Bytes.WriteName(block.Name);
            _to.Bytes.WriteUInt64(block.Length);
            if (block.GuestAddress is { } address)
            {
                _to.Bytes.WriteUInt64(address);
            }
        }

        if (Carrier is not null)
        {
            _to.Bytes.WriteUInt64(RamFlags.Hook);
            _to.Flush();
            Carrier.ExchangeBlocks(blocks);
        }

        WriteEndOfSection(ram);
    }

    /// <summary>
    /// Writes digests of RAM, which the destination compares once RAM is complete. Before the last pass; from here on nothing may write to the blocks.
    /// </summary>
    /// <param name="ram">The form of RAM's sections.</param>
    /// <param name="blocks">The blocks that are sent.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void WriteDigests(RamSectionForm ram, IReadOnlyList<RamBlock> blocks) => RamDigests.Write(_to.Bytes, blocks, ram.HasFooters, Cancellation);

    /// <summary>
    /// Writes a PART or END section of "ram" with the pages. They are handed to the sink where they lie; holes are written as zero pages and never read.
    /// </summary>
    /// <param name="ram">The form of RAM's sections.</param>
    /// <param name="blocks">The blocks. A page that changes meanwhile must be in a later pass.</param>
    /// <param name="pages">The pages of this pass.</param>
    /// <param name="total">Bytes of RAM in all, for the progress.</param>
    /// <param name="isLast">No further pass comes.</param>
    /// <exception cref="IOException">The sink or the carrier failed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the sink has part of the stream.</exception>
    public void WriteRamPass(RamSectionForm ram, RamBlockList blocks, IPageSet pages, ulong total, bool isLast)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        ArgumentNullException.ThrowIfNull(pages);
        WriteHeader(ram, isLast ? SectionType.End : SectionType.Part);
        if (Carrier is not null)
        {
            _to.Bytes.WriteUInt64(RamFlags.Hook);
            _to.Flush();
            Carrier.SendPages(pages, isLast);
        }
        else
        {
            using PageWriter writer = new(_to, ram.PageSize, new CaptureProgress(RamDone, RamZero, total, 0, CaptureStage.Ram), Progress, Cancellation);
            writer.Write(blocks, pages);
            RamDone = writer.RamDone;
            RamZero = writer.RamZero;
        }

        WriteEndOfSection(ram);
    }

    /// <summary>Writes the device sections and the end marker, and hands over all that was collected.</summary>
    /// <exception cref="IOException">The sink failed.</exception>
    public void WriteDevices(ReadOnlySequence<byte> sections)
    {
        _to.Append(sections);
        _to.Flush();
    }

    /// <summary>Writes the vmdescription, if there is one.</summary>
    /// <exception cref="IOException">The sink failed.</exception>
    public void End(ReadOnlyMemory<byte>? vmDescription)
    {
        if (vmDescription is { } json)
        {
            _to.Bytes.WriteByte(SectionType.VmDescription);
            _to.Bytes.WriteUInt32((uint)json.Length);
            _to.Append(json.Span);
            _to.Flush();
        }
    }

    /// <summary>Hands over all that was collected.</summary>
    /// <exception cref="IOException">The sink failed.</exception>
    public void Flush() => _to.Flush();

    private void WriteCommand(MigrationCommand command, ushort length)
    {
        _to.Bytes.WriteByte(SectionType.Command);
        _to.Bytes.WriteUInt16((ushort)command);
        _to.Bytes.WriteUInt16(length);
    }

    private void WritePing(uint value)
    {
        WriteCommand(MigrationCommand.Ping, sizeof(uint));
        _to.Bytes.WriteUInt32(value);
    }

    private void WriteHeader(RamSectionForm ram, byte type)
    {
        SectionHeader header = new(type, ram.SectionId, Wire.RamSection, 0, Wire.RamVersion);
        _to.Bytes.Advance(header.Encode(_to.Bytes.GetSpan(SectionHeader.MaxLength)));
    }

    private void WriteEndOfSection(RamSectionForm ram)
    {
        _to.Bytes.WriteUInt64(RamFlags.EndOfSection);
        if (ram.HasFooters)
        {
            _to.Bytes.WriteByte(SectionType.Footer);
            _to.Bytes.WriteUInt32(ram.SectionId);
        }
    }
}

/// <summary>The form of RAM's sections.</summary>
/// <param name="SectionId">Their id.</param>
/// <param name="HasFooters">They end with a footer.</param>
/// <param name="PageSize">Bytes in a target page.</param>
internal readonly record struct RamSectionForm(uint SectionId, bool HasFooters, int PageSize);
