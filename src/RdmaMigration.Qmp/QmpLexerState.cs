namespace RdmaMigration.Qmp;

/// <summary>The states of a <see cref="QmpLexer"/>.</summary>
internal enum QmpLexerState
{
    /// <summary>Between tokens.</summary>
    Start,

    /// <summary>After an error: bytes are skipped.</summary>
    Recovery,

    /// <summary>In a string that began with a double quote.</summary>
    DoubleQuoted,

    /// <summary>Behind a backslash in one.</summary>
    DoubleQuotedEscape,

    /// <summary>In a string that began with a single quote.</summary>
    SingleQuoted,

    /// <summary>Behind a backslash in one.</summary>
    SingleQuotedEscape,

    /// <summary>In a word of lower-case letters.</summary>
    Keyword,

    /// <summary>Behind the minus of a number.</summary>
    Sign,

    /// <summary>Behind a leading 0.</summary>
    Zero,

    /// <summary>In the digits of a number.</summary>
    Digits,

    /// <summary>Behind the decimal point.</summary>
    Point,

    /// <summary>In the digits behind the decimal point.</summary>
    Fraction,

    /// <summary>Behind the e.</summary>
    Exponent,

    /// <summary>Behind the sign of the exponent.</summary>
    ExponentSign,

    /// <summary>In the digits of the exponent.</summary>
    ExponentDigits,
}
