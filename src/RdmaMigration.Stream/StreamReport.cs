namespace RdmaMigration.Streams;

/// <summary>What a stream contains. Plain records: they serialise as they are.</summary>
/// <param name="MachineType">The machine type, or null if the stream does not say.</param>
/// <param name="PageSize">Bytes in a target page.</param>
/// <param name="Capabilities">Capabilities that the destination must have as well.</param>
/// <param name="Uuid">The machine's UUID, if it is in the stream.</param>
/// <param name="HasFooters">True if sections end with footers.</param>
/// <param name="Commands">Commands in stream order.</param>
/// <param name="Ram">Guest memory.</param>
/// <param name="Sections">Every section in stream order.</param>
/// <param name="Devices">Devices in stream order, with their fields if the stream has a vmdescription.</param>
/// <param name="DeviceStateBytes">Bytes of device sections, with headers and footers.</param>
/// <param name="VmDescriptionBytes">Bytes of the vmdescription's text, or null if there is none.</param>
/// <param name="TotalBytes">Bytes in the stream.</param>
/// <param name="End">How its end was recognised.</param>
internal sealed record StreamReport(
    string? MachineType,
    int PageSize,
    IReadOnlyList<string> Capabilities,
    Guid? Uuid,
    bool HasFooters,
    IReadOnlyList<string> Commands,
    RamReport Ram,
    IReadOnlyList<SectionReport> Sections,
    IReadOnlyList<DeviceReport> Devices,
    long DeviceStateBytes,
    int? VmDescriptionBytes,
    ulong TotalBytes,
    StreamEnd End);

/// <summary>Guest memory in a stream.</summary>
/// <param name="TotalLength">Bytes in all blocks.</param>
/// <param name="Hooks">RDMA control phases; their pages are not in the stream.</param>
/// <param name="Blocks">The blocks in stream order.</param>
/// <param name="Missing">Pages that never came, by block; none when pages went beside the stream.</param>
internal sealed record RamReport(ulong TotalLength, ulong Hooks, IReadOnlyList<RamBlockReport> Blocks, IReadOnlyList<MissingPages> Missing);

/// <summary>One RAM block in a stream. Counts are of entries: a page that was sent again counts again.</summary>
/// <param name="Name">The idstr.</param>
/// <param name="Length">Bytes in the block.</param>
/// <param name="PageSize">Its page size at the source, if the stream says so.</param>
/// <param name="GuestAddress">Its guest address, if the stream says so.</param>
/// <param name="DataPages">Pages sent with their content.</param>
/// <param name="ZeroPages">Pages sent as zero.</param>
/// <param name="FillPages">Pages sent as one repeated byte that is not zero.</param>
/// <param name="XbzrlePages">Pages sent as a difference.</param>
/// <param name="CompressedPages">Pages sent compressed.</param>
internal sealed record RamBlockReport(
    string Name,
    ulong Length,
    ulong? PageSize,
    ulong? GuestAddress,
    ulong DataPages,
    ulong ZeroPages,
    ulong FillPages,
    ulong XbzrlePages,
    ulong CompressedPages)
{
    /// <summary>The share of this block's entries that are zero pages, 0 to 1; 0 if it has no entries.</summary>
    public double ZeroShare => Entries == 0 ? 0 : (double)ZeroPages / Entries;

    private ulong Entries => DataPages + ZeroPages + FillPages + XbzrlePages + CompressedPages;
}

/// <summary>One section of a stream.</summary>
/// <param name="Type">START, PART, END or FULL.</param>
/// <param name="Id">The section id.</param>
/// <param name="Name">The idstr.</param>
/// <param name="InstanceId">The instance id; 0 for PART and END.</param>
/// <param name="Version">The version; 0 for PART and END.</param>
/// <param name="Offset">Offset in the stream of its first byte.</param>
/// <param name="Length">Bytes, with header and footer.</param>
internal sealed record SectionReport(string Type, uint Id, string Name, uint InstanceId, uint Version, ulong Offset, ulong Length);

/// <summary>One device's state.</summary>
/// <param name="Name">The idstr.</param>
/// <param name="InstanceId">The instance id.</param>
/// <param name="Version">The version.</param>
/// <param name="SectionId">The section id.</param>
/// <param name="Offset">Offset in the stream of its data.</param>
/// <param name="Length">Bytes of data, without header and footer.</param>
/// <param name="State">Its fields; null if they could not be decoded.</param>
/// <param name="Problem">Why its fields could not be decoded, or null.</param>
internal sealed record DeviceReport(
    string Name, uint InstanceId, uint Version, uint SectionId, ulong Offset, ulong Length, StateReport? State, string? Problem);

/// <summary>A VMState: a device's, a struct's or a subsection's.</summary>
/// <param name="Name">The vmsd_name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Fields">Its fields in stream order.</param>
/// <param name="Subsections">Its optional subsections.</param>
internal sealed record StateReport(string Name, uint Version, IReadOnlyList<FieldReport> Fields, IReadOnlyList<StateReport> Subsections);

/// <summary>One field.</summary>
/// <param name="Name">Its name, with its index if the vmdescription gives one.</param>
/// <param name="Type">QEMU's type word, such as uint32, buffer, struct.</param>
/// <param name="Length">Bytes of one element.</param>
/// <param name="Count">Elements: 1 unless it is an array.</param>
/// <param name="Values">Decoded elements of a field that is no struct: integers in decimal, booleans, other types in hex, long ones abbreviated.</param>
/// <param name="Elements">Decoded elements of a struct field, abbreviated if there are many.</param>
internal sealed record FieldReport(
    string Name, string Type, ulong Length, ulong Count, IReadOnlyList<string> Values, IReadOnlyList<StateReport> Elements);
