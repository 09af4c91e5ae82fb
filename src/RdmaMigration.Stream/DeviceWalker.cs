using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace RdmaMigration.Streams;

/// <summary>
/// Goes through sections that were kept as bytes. The vmdescription says how long each device is, and the footer proves it; where they
/// disagree, or there is no description, the footer is searched for.
/// </summary>
internal sealed class DeviceWalker
{
    private readonly List<JsonElement> _descriptions = [];
    private readonly bool _hasFooters;
    private readonly string _whyUndescribed = "the stream has no vmdescription";
    private readonly Dictionary<uint, string> _names = [];
    private int _nextDescription;

    public DeviceWalker(ReadOnlyMemory<byte>? vmDescription, bool hasFooters)
    {
        _hasFooters = hasFooters;
        if (vmDescription is not { } text)
        {
            return;
        }

        try
        {
            using JsonDocument document = VmDescriptionReader.Parse(text);
            _descriptions.AddRange(VmDescriptionReader.Objects(document.RootElement.Clone(), "devices"));
            _whyUndescribed = "the vmdescription does not list this device";
        }
        catch (Exception e) when (e is JsonException or StateDecodeException)
        {
            _whyUndescribed = $"the vmdescription is unreadable: {e.Message}";
        }
    }

    public List<DeviceReport> Devices { get; } = [];

    public List<SectionReport> Sections { get; } = [];

    /// <summary>Reads sections until the end marker, the end of the bytes, or a place where no section can be made out.</summary>
    /// <param name="bytes">The sections.</param>
    /// <param name="offset">Offset in the stream of the first byte.</param>
    public void Walk(ReadOnlySequence<byte> bytes, ulong offset)
    {
        SequenceReader<byte> reader = new(bytes);
        while (reader.TryRead(out byte type))
        {
            if (type == SectionType.Command && SectionSteps.TryEnterPackage(ref reader))
            {
                continue;
            }

            if (type is not (SectionType.Start or SectionType.Part or SectionType.End or SectionType.Full))
            {
                return;
            }

            long at = reader.Consumed - 1;
            if (!TryReadHeader(type, ref reader, out SectionHeader header))
            {
                return;
            }

            bool found = type == SectionType.Full ? ReadDevice(header, offset, ref reader) : SkipToFooter(header.Id, ref reader) is not null;
            Sections.Add(new SectionReport(
                header.TypeName, header.Id, header.Name, header.InstanceId, header.Version, offset + (ulong)at, (ulong)(reader.Consumed - at)));
            if (!found)
            {
                return;
            }
        }
    }

    /// <summary>Reads a device's data and footer; false if its end cannot be found.</summary>
    private bool ReadDevice(in SectionHeader header, ulong offset, ref SequenceReader<byte> reader)
    {
        SequenceReader<byte> start = reader;
        StateReport? state = null;
        string? problem = null;
        long? length = null;
        try
        {
            JsonElement description = FindDescription(header);
            string name = VmDescriptionReader.TryGet(description, "vmsd_name", out _) ? VmDescriptionReader.Text(description, "vmsd_name") : header.Name;
            state = new StateDecoder().Decode(description, name, header.Version, ref reader);
            length = reader.Consumed - start.Consumed;
            if (_hasFooters && !TryReadFooter(header.Id, ref reader))
            {
                throw new StateDecodeException($"after the {length} bytes that the vmdescription gives there is no footer");
            }
        }
        catch (StateDecodeException e)
        {
            problem = e.Message;
            state = null;
            reader = start;
            length = SkipToFooter(header.Id, ref reader);
        }

        Devices.Add(new DeviceReport(
            header.Name,
            header.InstanceId,
            header.Version,
            header.Id,
            offset + (ulong)start.Consumed,
            (ulong)(length ?? start.Remaining),
            state,
            problem));
        return length is not null;
    }

    /// <summary>The next description of that name and instance; descriptions come in stream order.</summary>
    private JsonElement FindDescription(in SectionHeader header)
    {
        for (int i = _nextDescription; i < _descriptions.Count; i++)
        {
            JsonElement description = _descriptions[i];
            if (VmDescriptionReader.Text(description, "name") == header.Name && VmDescriptionReader.Number(description, "instance_id") == header.InstanceId)
            {
                _nextDescription = i + 1;
                return description;
            }
        }

        throw new StateDecodeException(_whyUndescribed);
    }

    private bool TryReadHeader(byte type, ref SequenceReader<byte> reader, out SectionHeader header)
    {
        header = new SectionHeader(type, 0, "", 0, 0);
        if (!reader.TryReadBigEndian(out int id))
        {
            return false;
        }

        header = header with { Id = (uint)id };
        if (type is SectionType.Part or SectionType.End)
        {
            header = header with { Name = _names.GetValueOrDefault(header.Id, "") };
            return true;
        }

        if (!reader.TryRead(out byte length) || reader.Remaining < length)
        {
            return false;
        }

        string name = Printable.Of(Encoding.Latin1.GetString(reader.UnreadSequence.Slice(0, length)));
        reader.Advance(length);
        if (!reader.TryReadBigEndian(out int instance) || !reader.TryReadBigEndian(out int version))
        {
            return false;
        }

        header = header with { Name = name, InstanceId = (uint)instance, Version = (uint)version };
        _names[header.Id] = name;
        return true;
    }

    private static bool TryReadFooter(uint id, ref SequenceReader<byte> reader)
    {
        Span<byte> footer = stackalloc byte[SectionType.FooterLength];
        return reader.IsNext(FooterOf(id, footer), advancePast: true);
    }

    /// <summary>Moves behind the first footer that a section or the end marker can follow; returns the bytes before it, null if there is none.</summary>
    private long? SkipToFooter(uint id, ref SequenceReader<byte> reader)
    {
        Span<byte> footer = stackalloc byte[SectionType.FooterLength];
        FooterOf(id, footer);
        long start = reader.Consumed;
        while (_hasFooters && reader.TryReadTo(out ReadOnlySequence<byte> _, footer))
        {
            if (!reader.TryPeek(out byte next) || next is SectionType.Start or SectionType.Part or SectionType.End or SectionType.Full || (
                next == SectionType.EndOfFile && reader.Remaining == 1))
            {
                return reader.Consumed - start - footer.Length;
            }
        }

        reader.AdvanceToEnd();
        return null;
    }

    private static Span<byte> FooterOf(uint id, Span<byte> footer)
    {
        footer[0] = SectionType.Footer;
        BinaryPrimitives.WriteUInt32BigEndian(footer[1..], id);
        return footer;
    }
}
