using System.Buffers;

namespace RdmaMigration.Streams;

/// <summary>
/// Keeps what follows the "ram" END section: device sections, the end marker, the vmdescription. Nothing in there has a length, and nothing says that the
/// stream is over. The end is where the device sections are exactly those that the vmdescription lists; else it is where the source closes.
/// </summary>
internal sealed class DeviceStateReader(SourceReader reader)
{
    /// <summary>
    /// After an end that the vmdescription proves, one look at what follows: a guest that knows its own device state could imitate such an end, and the rest of
    /// the true stream follows at once.
    /// </summary>
    private static readonly TimeSpan s_afterProof = TimeSpan.FromMilliseconds(20);

    /// <summary>
    /// After an end marker, where most machines go on with a vmdescription: those of old types do not, nor with suppress-vmdesc on, and the source does not close
    /// while it waits to be told how it ended. As long as a source may take to start its stream.
    /// </summary>
    private static readonly TimeSpan s_afterMarker = TimeSpan.FromSeconds(30);

    private readonly ChunkedBytes _bytes = new();
    private long _patience = System.Threading.Timeout.InfiniteTimeSpan.Ticks;

    /// <summary>
    /// How long the source may be silent from here until the stream counts as over; infinite where it cannot be over. Readable from any thread.
    /// </summary>
    public TimeSpan Patience
    {
        get => new(Volatile.Read(ref _patience));
        private set => Volatile.Write(ref _patience, value.Ticks);
    }

    /// <summary>A vmdescription that lists exactly the sections before it ends with the last byte. Readable from any thread.</summary>
    public bool IsComplete => Patience == s_afterProof;

    /// <summary>Offset in the stream of the first byte kept.</summary>
    public ulong Offset { get; private set; }

    /// <summary>Device sections and the end marker.</summary>
    public ReadOnlySequence<byte> Sections { get; private set; }

    /// <summary>The JSON text, or null if the stream has none.</summary>
    public ReadOnlyMemory<byte>? VmDescription { get; private set; }

    /// <summary>Bytes behind the end, which belong to nothing: a file that is padded.</summary>
    public long TrailingBytes { get; private set; }

    public StreamEnd WhyEnded { get; private set; }

    /// <param name="hasFooters">Sections end with a footer.</param>
    /// <param name="bound">The most bytes to keep.</param>
    public void Read(bool hasFooters, ulong bound)
    {
        reader.Step = "device state";
        Offset = reader.Position;
        VmDescriptionTail tail = new(_bytes, hasFooters);
        while (true)
        {
            int read = reader.ReadSome(_bytes.Room());
            if (read == 0)
            {
                End(tail);
                return;
            }

            _bytes.Advance(read);
            if ((ulong)_bytes.Length > bound)
            {
                throw reader.TooLarge(bound);
            }

            tail.Scan();
            Patience = tail.ProvenEnd == _bytes.Length ? s_afterProof
                : tail.EndsWithMarker() && tail.LastFooterClosesASection() ? s_afterMarker
                : System.Threading.Timeout.InfiniteTimeSpan;
        }
    }

    /// <summary>The source has closed, or was silent for long enough.</summary>
    private void End(VmDescriptionTail tail)
    {
        if (tail.FindLast() is { } description)
        {
            VmDescription = description.Text;
            Sections = _bytes.AsSequence().Slice(0, description.Start - VmDescriptionTail.HeaderLength);
            TrailingBytes = _bytes.Length - description.End;
            WhyEnded = StreamEnd.VmDescription;
            return;
        }

        if (!tail.EndsWithMarker() || !tail.LastFooterClosesASection())
        {
            throw new StreamFormatException(
                StreamFault.Truncated, reader.Step, reader.Position, $"the stream is truncated: the source ended after {_bytes.Length} bytes, and they have no end");
        }

        Sections = _bytes.AsSequence();
        WhyEnded = StreamEnd.SourceEnded;
    }
}
