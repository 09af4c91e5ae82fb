namespace RdmaMigration.Qmp;

/// <summary>
/// Cuts a client's bytes into JSON texts, wherever reads and lines end. A text is complete when its object or array closes; a string, number or keyword outside
/// of both is a text by itself. It keeps only bytes that have arrived, and looks at each byte once.
/// </summary>
internal sealed class QmpFramer
{
    /// <summary>Bytes of one text: libvirt's bound for a line of QMP (a comment in qemu.qmp gives it).</summary>
    public const int MaximumBytes = 10 << 20;

    /// <summary>Objects and arrays within each other: QEMU's bound.</summary>
    public const int MaximumNesting = 1024;

    /// <summary>A buffer above this size is released with its text.</summary>
    private const int KeptCapacity = 64 << 10;

    private readonly QmpLexer _lexer = new();
    private readonly Stack<QmpToken> _open = new();
    private List<byte> _text = [];

    /// <summary>A text has begun and is not complete.</summary>
    public bool IsWithinText => _text.Count > 0;

    /// <summary>Takes bytes up to the end of the next text.</summary>
    /// <param name="input">Bytes that arrived. They may begin and end anywhere.</param>
    /// <param name="text">The text that was completed, or an error; null when all bytes were taken without one.</param>
    /// <returns>How many bytes were taken.</returns>
    public int Read(ReadOnlySpan<byte> input, out QmpText? text)
    {
        text = null;
        int taken = 0;
        while (taken < input.Length && text is null)
        {
            QmpLexerState before = _lexer.State;
            QmpToken token = _lexer.Take(input[taken], out bool isConsumed);
            if (isConsumed)
            {
                Keep(input[taken], before);
                taken++;
            }

            text = Take(token, input[Math.Max(taken - 1, 0)]);
        }

        return taken;
    }

    private QmpText? Take(QmpToken token, byte last)
    {
        switch (token)
        {
            case QmpToken.Error:
                return Fail($"JSON parse error, byte 0x{last:x2} is not expected here");
            case QmpToken.BeginObject or QmpToken.BeginArray:
                _open.Push(token);
                break;
            case QmpToken.EndObject or QmpToken.EndArray:
                QmpToken begin = token is QmpToken.EndObject ? QmpToken.BeginObject : QmpToken.BeginArray;
                if (!_open.TryPop(out QmpToken open) || open != begin)
                {
                    return Fail($"JSON parse error, '{(char)last}' closes nothing");
                }

                break;
            default:
                break;
        }

        if (_open.Count > MaximumNesting)
        {
            return Fail($"JSON nesting depth limit exceeded: {MaximumNesting}", isLast: true);
        }

        if (_text.Count > MaximumBytes)
        {
            return Fail($"JSON text exceeds {MaximumBytes} bytes", isLast: true);
        }

        if (token is QmpToken.None || _open.Count > 0)
        {
            return null;
        }

        byte[] complete = [.. _text];
        Clear();
        return new QmpText(complete, Error: null, IsLast: false);
    }

    /// <summary>Keeps a byte of the text. Strings in single quotes get double quotes.</summary>
    private void Keep(byte input, QmpLexerState before)
    {
        switch ((before, (char)input))
        {
            case (QmpLexerState.Start, ' ' or '\t' or '\r' or '\n') when _open.Count == 0:
            case (QmpLexerState.Recovery, _):
                break;
            case (QmpLexerState.Start or QmpLexerState.SingleQuoted, '\''):
                _text.Add((byte)'"');
                break;
            case (QmpLexerState.SingleQuoted, '"'):
                _text.Add((byte)'\\');
                _text.Add((byte)'"');
                break;
            case (QmpLexerState.DoubleQuotedEscape or QmpLexerState.SingleQuotedEscape, '\''):
                // QEMU knows \', and JSON does not.
                _text[^1] = (byte)'\'';
                break;
            default:
                _text.Add(input);
                break;
        }
    }

    private QmpText Fail(string error, bool isLast = false)
    {
        _open.Clear();
        Clear();
        return new QmpText(Json: null, error, isLast);
    }

    private void Clear()
    {
        if (_text.Capacity > KeptCapacity)
        {
            _text = [];
        }
        else
        {
            _text.Clear();
        }
    }
}
