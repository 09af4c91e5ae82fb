using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;

namespace RdmaMigration.Streams;

/// <summary>
/// Big-endian reads over a source, through one fixed buffer. The source is asked only when the buffer is empty and a byte is needed, so no
/// byte is ever waited for that the format does not promise.
/// </summary>
internal sealed class SourceReader(IStreamSource source)
{
    private const int BufferSize = 64 * 1024;

    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(BufferSize);
    private int _start;
    private int _end;
    private ulong _received;
    private bool _hasEnded;
    private OuterBuffer? _outer;
    private ArrayBufferWriter<byte>? _recorder;
    private Func<string>? _describe;
    private string _step = "header";

    /// <summary>What is being read, for errors.</summary>
    public string Step
    {
        get => _describe?.Invoke() ?? _step;
        set
        {
            _step = value;
            _describe = null;
        }
    }

    /// <summary>Offset in the stream of the next byte.</summary>
    public ulong Position => _received - (ulong)(_end - _start);

    /// <summary>Until <see cref="Step"/> is set, this says what is being read; called only for an error.</summary>
    public void DescribeStep(Func<string> describe) => _describe = describe;

    /// <summary>From now on every byte that is read is also appended there; null stops that.</summary>
    public void RecordInto(ArrayBufferWriter<byte>? recorder) => _recorder = recorder;

    /// <summary>Reads come from a package in memory, not from the source.</summary>
    public bool IsInPackage => _outer is not null;

    /// <summary>Every byte of the package has been read.</summary>
    public bool IsAtPackageEnd => IsInPackage && _start == _end;

    /// <summary>Until <see cref="LeavePackage"/> reads come from there, and the source is not asked: the package's end is their end.</summary>
    /// <param name="bytes">The bytes that were read last. Offsets in the stream stay true.</param>
    public void EnterPackage(byte[] bytes)
    {
        if (IsInPackage)
        {
            throw new InvalidOperationException("a package is being read already");
        }

        _outer = new OuterBuffer(_buffer, _start, _end, _received);
        (_received, _buffer, _start, _end) = (Position, bytes, 0, bytes.Length);
    }

    /// <summary>Reads come from the source again.</summary>
    public void LeavePackage()
    {
        OuterBuffer outer = _outer ?? throw new InvalidOperationException("no package is being read");
        (_buffer, _start, _end, _received) = (outer.Bytes, outer.Start, outer.End, outer.Received);
        _outer = null;
    }

    public byte PeekByte()
    {
        FillIfEmpty();
        return _buffer[_start];
    }

    /// <summary>Looks at a byte that is not consumed; false if the stream ends before it. Waits for it like a read.</summary>
    /// <param name="index">How many bytes further on than the next one; less than the buffer holds.</param>
    /// <param name="value">The byte.</param>
    public bool TryPeek(int index, out byte value)
    {
        while (_end - _start <= index && TryFill())
        {
        }

        bool isThere = index < _end - _start;
        value = isThere ? _buffer[_start + index] : (byte)0;
        return isThere;
    }

    public byte ReadByte()
    {
        FillIfEmpty();
        byte value = _buffer[_start++];
        _recorder?.Write([value]);
        return value;
    }

    public ushort ReadUInt16()
    {
        Span<byte> split = stackalloc byte[sizeof(ushort)];
        return BinaryPrimitives.ReadUInt16BigEndian(Take(split));
    }

    public uint ReadUInt32()
    {
        Span<byte> split = stackalloc byte[sizeof(uint)];
        return BinaryPrimitives.ReadUInt32BigEndian(Take(split));
    }

    public ulong ReadUInt64()
    {
        Span<byte> split = stackalloc byte[sizeof(ulong)];
        return BinaryPrimitives.ReadUInt64BigEndian(Take(split));
    }

    /// <summary>Fills the span: first with what is buffered, then straight from the source if the rest is large, else through the buffer.</summary>
    public void ReadExactly(Span<byte> destination)
    {
        Span<byte> rest = destination;
        while (true)
        {
            int buffered = Math.Min(_end - _start, rest.Length);
            _buffer.AsSpan(_start, buffered).CopyTo(rest);
            _start += buffered;
            rest = rest[buffered..];
            if (rest.IsEmpty)
            {
                break;
            }

            if (rest.Length >= Wire.DirectReadLength)
            {
                rest = rest[ReadSource(rest)..];
            }
            else
            {
                FillIfEmpty();
            }
        }

        _recorder?.Write(destination);
    }

    /// <summary>Reads bytes into memory that grows while they arrive: a length alone makes nothing be allocated.</summary>
    public byte[] ReadGrowing(int length)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(Math.Min(length, BufferSize));
        int filled = 0;
        while (true)
        {
            ReadExactly(bytes.AsSpan(filled));
            filled = bytes.Length;
            if (filled == length)
            {
                return bytes;
            }

            Array.Resize(ref bytes, (int)Math.Min(length, 2L * filled));
        }
    }

    /// <summary>Bytes that have come and were not read.</summary>
    public ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Counts buffered bytes as read.</summary>
    public void Skip(int count) => _start += count;

    /// <summary>That many unread bytes fit into the buffer.</summary>
    public static bool CanHold(int count) => count <= BufferSize;

    /// <summary>Waits for more bytes, which join those that are buffered; false at the end of the stream.</summary>
    public bool TryFill()
    {
        if (IsInPackage)
        {
            return false;
        }

        if (_start > 0)
        {
            Buffered.CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        int read = _hasEnded ? 0 : ReadSourceOrEnd(_buffer.AsSpan(_end));
        _hasEnded |= read == 0;
        _end += read;
        return read > 0;
    }

    /// <summary>Reads u8 n and n bytes of printable ASCII.</summary>
    public string ReadName(string what) => ReadText(ReadByte(), what);

    /// <summary>Reads <paramref name="length"/> (1..255) bytes of printable ASCII.</summary>
    public string ReadText(uint length, string what)
    {
        ulong at = Position;
        if (length is 0 or > byte.MaxValue)
        {
            throw Malformed(at, $"{what} of {length} bytes, 1 to {byte.MaxValue} are allowed");
        }

        Span<byte> bytes = stackalloc byte[byte.MaxValue];
        bytes = bytes[..(int)length];
        ReadExactly(bytes);
        return bytes.ContainsAnyExceptInRange((byte)' ', (byte)'~')
            ? throw Malformed(at, $"{what} is not printable ASCII: {Convert.ToHexStringLower(bytes)}")
            : Encoding.ASCII.GetString(bytes);
    }

    public StreamFormatException Malformed(ulong offset, string detail) => new(StreamFault.Malformed, Step, offset, detail);

    public StreamFormatException Unsupported(ulong offset, string detail) => new(StreamFault.Unsupported, Step, offset, detail);

    /// <summary>More than a bound allows.</summary>
    public StreamFormatException TooLarge(string detail) => new(StreamFault.TooLarge, Step, Position, detail);

    /// <summary>More bytes of device state than max-device-state allows.</summary>
    public StreamFormatException TooMuchDeviceState(ulong bound) =>
        TooLarge($"more than {bound} bytes of device state: raise max-device-state if the machine really has that much");

    /// <summary>Reads a number's bytes: where they lie in the buffer, unless they have to be put together.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ReadOnlySpan<byte> Take(Span<byte> split)
    {
        if (_recorder is not null || _end - _start < split.Length)
        {
            ReadExactly(split);
            return split;
        }

        _start += split.Length;
        return _buffer.AsSpan(_start - split.Length, split.Length);
    }

    private void FillIfEmpty()
    {
        if (_start == _end)
        {
            int read = ReadSource(_buffer);
            _start = 0;
            _end = read;
        }
    }

    private int ReadSource(Span<byte> destination)
    {
        if (IsInPackage)
        {
            throw new StreamFormatException(StreamFault.Truncated, Step, _received, "the package ends here, before this is complete");
        }

        int read = ReadSourceOrEnd(destination);
        return read > 0 ? read : throw new StreamFormatException(StreamFault.Truncated, Step, _received, "the stream is truncated: the source ended here");
    }

    private int ReadSourceOrEnd(Span<byte> destination)
    {
        int read = source.Read(destination);
        if ((uint)read > (uint)destination.Length)
        {
            throw new InvalidOperationException($"{source.GetType().Name}.Read returned {read} for a buffer of {destination.Length} bytes");
        }

        _received += (ulong)read;
        return read;
    }

    /// <summary>What the source has sent behind the package.</summary>
    private sealed record OuterBuffer(byte[] Bytes, int Start, int End, ulong Received);
}
