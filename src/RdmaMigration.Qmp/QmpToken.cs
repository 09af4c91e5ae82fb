namespace RdmaMigration.Qmp;

/// <summary>The token that a byte completes.</summary>
internal enum QmpToken
{
    /// <summary>None: the byte lies within a token, is white space, or is skipped after an error.</summary>
    None,

    /// <summary><c>{</c></summary>
    BeginObject,

    /// <summary><c>}</c></summary>
    EndObject,

    /// <summary><c>[</c></summary>
    BeginArray,

    /// <summary><c>]</c></summary>
    EndArray,

    /// <summary>A string, number, keyword, colon or comma.</summary>
    Other,

    /// <summary>No token may contain the byte here.</summary>
    Error,
}
