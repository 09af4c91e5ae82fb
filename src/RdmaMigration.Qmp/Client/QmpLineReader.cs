using System.Text;

namespace RdmaMigration.Qmp.Client;

/// <summary>Reads lines of bounded length. One thread at a time.</summary>
internal sealed class QmpLineReader(Stream stream)
{
    /// <summary>Bytes of one line: libvirt's bound, as for a request.</summary>
    public const int MaximumBytes = QmpFramer.MaximumBytes;

    private const int ShownBytes = 60;

    private byte[] _buffer = new byte[16 << 10];
    private int _start;
    private int _end;
    private int _searched;

    /// <summary>The beginning of what has arrived without a line's end, for messages; empty for nothing.</summary>
    public string Pending => Show(_buffer.AsSpan(_start, _end - _start));

    /// <summary>The beginning of what a peer sent, for messages: printable ASCII, and dots.</summary>
    public static string Show(ReadOnlySpan<byte> bytes)
    {
        StringBuilder shown = new();
        foreach (byte next in bytes[..Math.Min(bytes.Length, ShownBytes)])
        {
            shown.Append(next is >= 0x20 and < 0x7f ? (char)next : '.');
        }

        return shown.Append(bytes.Length > ShownBytes ? "…" : "").ToString();
    }

    /// <summary>The next line without its end; null at the end of the stream. It is valid until the next call.</summary>
    /// <exception cref="InvalidDataException">The line is longer than <see cref="MaximumBytes"/>.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken end)
    {
        while (true)
        {
            int found = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
            if (found >= 0)
            {
                ReadOnlyMemory<byte> line = _buffer.AsMemory(_start, _searched + found - _start);
                _start = _searched += found + 1;
                return line;
            }

            _searched = _end;
            MakeRoom();
            int received = await stream.ReadAsync(_buffer.AsMemory(_end), end).ConfigureAwait(false);
            if (received == 0)
            {
                return null;
            }

            _end += received;
        }
    }

    private void MakeRoom()
    {
        int length = _end - _start;
        if (length > MaximumBytes)
        {
            throw new InvalidDataException($"a line of more than {MaximumBytes} bytes");
        }

        if (_start > 0)
        {
            _buffer.AsSpan(_start, length).CopyTo(_buffer);
            (_start, _searched, _end) = (0, _searched - _start, length);
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, 2 * _buffer.Length);
        }
    }
}
