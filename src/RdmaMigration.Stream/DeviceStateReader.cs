using System.Buffers;

namespace RdmaMigration.Stream;

/// <summary>
/// Keeps what follows the "ram" END section: device sections, the end marker, the vmdescription. Nothing in there has a length, and nothing says
/// that the stream is over, so the end is where the bytes look like one (protocol E.3).
/// </summary>
internal sealed class DeviceStateReader(SourceReader reader)
{
    private readonly ChunkedBytes _bytes = new();
    private volatile bool _isAtPossibleEnd;

    /// <summary>
    /// True while the bytes so far end as a stream without vmdescription does. When the source then stays silent, that was its end; only
    /// waiting can tell. Readable from any thread.
    /// </summary>
    public bool IsAtPossibleEnd => _isAtPossibleEnd;

    /// <summary>Offset in the stream of the first byte kept.</summary>
    public ulong Offset { get; private set; }

    /// <summary>Device sections and the end marker.</summary>
    public ReadOnlySequence<byte> Sections { get; private set; }

    /// <summary>The JSON text, or null if the stream has none.</summary>
    public ReadOnlyMemory<byte>? VmDescription { get; private set; }

    public StreamEnd WhyEnded { get; private set; }

    public void Read(bool hasFooters, ulong bound)
    {
        reader.Step = "device state";
        Offset = reader.Position;
        var tail = new VmDescriptionTail(_bytes, hasFooters);
        while (true)
        {
            int read = reader.ReadSome(_bytes.Room());
            if (read == 0)
            {
                EndBySource(tail);
                return;
            }

            _bytes.Advance(read);
            if ((ulong)_bytes.Length > bound)
            {
                throw reader.TooLarge(bound);
            }

            if (tail.Find() is { } json)
            {
                EndByVmDescription(json);
                return;
            }

            _isAtPossibleEnd = tail.EndsWithMarker();
        }
    }

    private void EndByVmDescription(byte[] json)
    {
        VmDescription = json;
        Sections = _bytes.AsSequence().Slice(0, _bytes.Length - json.Length - VmDescriptionTail.HeaderLength);
        WhyEnded = StreamEnd.VmDescription;
    }

    private void EndBySource(VmDescriptionTail tail)
    {
        if (!tail.EndsWithMarker() || !tail.LastFooterClosesASection())
        {
            throw new StreamFormatException(
                StreamFault.Truncated, reader.Step, reader.Position, $"the stream is truncated: the source ended after {_bytes.Length} bytes, and they have no end");
        }

        Sections = _bytes.AsSequence();
        WhyEnded = StreamEnd.SourceEnded;
    }
}
