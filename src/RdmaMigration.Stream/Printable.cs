namespace RdmaMigration.Streams;

/// <summary>Text of a peer, fit for a terminal.</summary>
internal static class Printable
{
    /// <summary>The text with everything but printable ASCII replaced by question marks.</summary>
    public static string Of(ReadOnlySpan<char> text) =>
        string.Create(text.Length, text, (to, from) =>
        {
            for (int i = 0; i < to.Length; i++)
            {
                to[i] = from[i] is >= ' ' and <= '~' ? from[i] : '?';
            }
        });
}
