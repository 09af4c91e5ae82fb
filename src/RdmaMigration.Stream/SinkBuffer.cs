using System.Buffers;

namespace RdmaMigration.Streams;

/// <summary>
/// What a writer hands to its sink, in few writes: each write over RDMA waits for a credit of the destination's. Small pieces are collected, large ones go
/// as they are.
/// </summary>
internal sealed class SinkBuffer(IStreamSink sink)
{
    /// <summary>The most that is collected: far more than an ordinary machine's device state, and what a copy of costs nothing.</summary>
    private const int MostCollected = 256 * 1024;

    /// <summary>Bytes collected that the sink does not have yet.</summary>
    public ArrayBufferWriter<byte> Bytes { get; } = new();

    /// <summary>Bytes that the sink has.</summary>
    public ulong Written { get; private set; }

    public void Append(ReadOnlySequence<byte> pieces)
    {
        foreach (ReadOnlyMemory<byte> piece in pieces)
        {
            Append(piece.Span);
        }
    }

    public void Append(ReadOnlySpan<byte> piece)
    {
        if (Bytes.WrittenCount + piece.Length > MostCollected)
        {
            Flush();
        }

        if (piece.Length > MostCollected)
        {
            sink.Write(piece);
            Written += (ulong)piece.Length;
        }
        else
        {
            Bytes.Write(piece);
        }
    }

    /// <summary>Hands over what is collected: the last byte ends a write.</summary>
    public void Flush()
    {
        if (Bytes.WrittenCount > 0)
        {
            sink.Write(Bytes.WrittenSpan);
            Written += (ulong)Bytes.WrittenCount;
            Bytes.ResetWrittenCount();
        }
    }

    /// <summary>Hands over segments, after what was collected.</summary>
    public void WriteGather(ReadOnlySpan<IoSegment> segments, ulong length)
    {
        Flush();
        sink.WriteGather(segments);
        Written += length;
    }
}
