using System.Buffers;

namespace RdmaMigration.Streams;

/// <summary>Bytes that arrive in pieces, in chunks of fixed size: growing never copies, and never allocates more than one chunk ahead.</summary>
internal sealed class ChunkedBytes
{
    private const int ChunkShift = 16;
    private const int ChunkSize = 1 << ChunkShift;

    private readonly List<byte[]> _chunks = [];

    public long Length { get; private set; }

    public byte this[long index] => _chunks[(int)(index >> ChunkShift)][index & (ChunkSize - 1)];

    /// <summary>Room for the next bytes, at least one. <see cref="Advance"/> says how many were put there.</summary>
    public Span<byte> Room()
    {
        int index = (int)(Length >> ChunkShift);
        if (index == _chunks.Count)
        {
            _chunks.Add(GC.AllocateUninitializedArray<byte>(ChunkSize));
        }

        return _chunks[index].AsSpan((int)(Length & (ChunkSize - 1)));
    }

    public void Advance(int count) => Length += count;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            Span<byte> room = Room();
            int count = Math.Min(room.Length, bytes.Length);
            bytes[..count].CopyTo(room);
            Advance(count);
            bytes = bytes[count..];
        }
    }

    /// <summary>Forgets what comes after the first <paramref name="length"/> bytes.</summary>
    public void Truncate(long length) => Length = length;

    /// <summary>The bytes in [<paramref name="index"/>, end of the chunk that holds it or of all bytes).</summary>
    public ReadOnlySpan<byte> ContiguousFrom(long index)
    {
        int offset = (int)(index & (ChunkSize - 1));
        int length = (int)Math.Min(ChunkSize - offset, Length - index);
        return _chunks[(int)(index >> ChunkShift)].AsSpan(offset, length);
    }

    /// <summary>Copies the bytes from <paramref name="index"/> on that fill the span.</summary>
    public void CopyTo(long index, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            ReadOnlySpan<byte> run = ContiguousFrom(index);
            int count = Math.Min(run.Length, destination.Length);
            run[..count].CopyTo(destination);
            destination = destination[count..];
            index += count;
        }
    }

    /// <summary>The bytes, without copying them. Valid as long as nothing is appended.</summary>
    public ReadOnlySequence<byte> AsSequence()
    {
        if (Length == 0)
        {
            return ReadOnlySequence<byte>.Empty;
        }

        Segment first = new(_chunks[0], 0);
        Segment last = first;
        for (int i = 1; i < _chunks.Count; i++)
        {
            last = last.Append(_chunks[i]);
        }

        return new ReadOnlySequence<byte>(first, 0, last, ChunkSize).Slice(0, Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(byte[] chunk, long runningIndex)
        {
            Memory = chunk;
            RunningIndex = runningIndex;
        }

        public Segment Append(byte[] chunk)
        {
            Segment next = new(chunk, RunningIndex + ChunkSize);
            Next = next;
            return next;
        }
    }
}
