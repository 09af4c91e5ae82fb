namespace RdmaMigration.Qmp;

/// <summary>
/// Splits bytes into JSON tokens by QEMU's rules (qobject/json-lexer.c): strings may have single quotes, a control character ends a string with an error, and
/// after an error the bytes up to a structural or a control character are skipped.
/// </summary>
internal sealed class QmpLexer
{
    /// <summary>The state after the last byte.</summary>
    public QmpLexerState State { get; private set; } = QmpLexerState.Start;

    /// <summary>Takes one byte.</summary>
    /// <param name="input">The byte.</param>
    /// <param name="isConsumed">False when the byte only ended the token before it: it must be given again.</param>
    public QmpToken Take(byte input, out bool isConsumed)
    {
        isConsumed = true;
        switch (State)
        {
            case QmpLexerState.Start:
                return TakeFirst(input);
            case QmpLexerState.Recovery:
                isConsumed = !IsResynchronizing(input);
                State = isConsumed ? QmpLexerState.Recovery : QmpLexerState.Start;
                return QmpToken.None;
            case QmpLexerState.DoubleQuoted:
                return TakeInString(input, (byte)'"', QmpLexerState.DoubleQuotedEscape);
            case QmpLexerState.SingleQuoted:
                return TakeInString(input, (byte)'\'', QmpLexerState.SingleQuotedEscape);
            case QmpLexerState.DoubleQuotedEscape:
                return IsInString(input) ? Continue(QmpLexerState.DoubleQuoted) : Fail();
            case QmpLexerState.SingleQuotedEscape:
                return IsInString(input) ? Continue(QmpLexerState.SingleQuoted) : Fail();
            default:
                return TakeInWord(input, ref isConsumed);
        }
    }

    private static bool IsInString(byte input) => input is >= 0x20 and < 0xfe;

    private static bool IsResynchronizing(byte input) =>
        input is (< 0x20 and not (byte)'\t') or >= 0xfe or (byte)'{' or (byte)'}' or (byte)'[' or (byte)']' or (byte)':' or (byte)',';

    private QmpToken TakeFirst(byte input) => (char)input switch
    {
        ' ' or '\t' or '\r' or '\n' => QmpToken.None,
        '{' => QmpToken.BeginObject,
        '}' => QmpToken.EndObject,
        '[' => QmpToken.BeginArray,
        ']' => QmpToken.EndArray,
        ':' or ',' => QmpToken.Other,
        '"' => Continue(QmpLexerState.DoubleQuoted),
        '\'' => Continue(QmpLexerState.SingleQuoted),
        '-' => Continue(QmpLexerState.Sign),
        '0' => Continue(QmpLexerState.Zero),
        >= '1' and <= '9' => Continue(QmpLexerState.Digits),
        >= 'a' and <= 'z' => Continue(QmpLexerState.Keyword),
        _ => Fail(),
    };

    private QmpToken TakeInString(byte input, byte quote, QmpLexerState escape)
    {
        if (input == quote)
        {
            State = QmpLexerState.Start;
            return QmpToken.Other;
        }

        if (input == '\\')
        {
            return Continue(escape);
        }

        return IsInString(input) ? QmpToken.None : Fail();
    }

    /// <summary>A number or a keyword: the byte belongs to it, cannot follow it, or ends it.</summary>
    private QmpToken TakeInWord(byte input, ref bool isConsumed)
    {
        QmpLexerState? next = (State, (char)input) switch
        {
            (QmpLexerState.Keyword, >= 'a' and <= 'z') => QmpLexerState.Keyword,
            (QmpLexerState.Sign, '0') => QmpLexerState.Zero,
            (QmpLexerState.Sign or QmpLexerState.Digits, >= '0' and <= '9') => QmpLexerState.Digits,
            (QmpLexerState.Zero or QmpLexerState.Digits, '.') => QmpLexerState.Point,
            (QmpLexerState.Point or QmpLexerState.Fraction, >= '0' and <= '9') => QmpLexerState.Fraction,
            (QmpLexerState.Digits or QmpLexerState.Fraction, 'e' or 'E') => QmpLexerState.Exponent,
            (QmpLexerState.Exponent, '+' or '-') => QmpLexerState.ExponentSign,
            (QmpLexerState.Exponent or QmpLexerState.ExponentSign or QmpLexerState.ExponentDigits, >= '0' and <= '9') => QmpLexerState.ExponentDigits,
            (QmpLexerState.Zero, >= '0' and <= '9') => null,
            (QmpLexerState.Sign or QmpLexerState.Point or QmpLexerState.Exponent or QmpLexerState.ExponentSign, _) => null,
            _ => QmpLexerState.Start,
        };
        if (next is not { } known)
        {
            return Fail();
        }

        State = known;
        isConsumed = known is not QmpLexerState.Start;
        return isConsumed ? QmpToken.None : QmpToken.Other;
    }

    private QmpToken Continue(QmpLexerState state)
    {
        State = state;
        return QmpToken.None;
    }

    private QmpToken Fail()
    {
        State = QmpLexerState.Recovery;
        return QmpToken.Error;
    }
}
