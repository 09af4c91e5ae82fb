namespace RdmaMigration.Streams;

/// <summary>
/// XBZRLE (QEMU docs/devel/migration, "XBZRLE"): pairs of a run of unchanged bytes and a run of new bytes, both lengths as unsigned LEB128 of at
/// most two bytes.
/// </summary>
internal static class Xbzrle
{
    /// <summary>Applies an encoded difference to a page. False if it is malformed or leaves the page; the page is then undefined.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> page)
    {
        int position = 0;
        while (!encoded.IsEmpty)
        {
            if (!TryReadLength(ref encoded, out int unchanged) || unchanged > page.Length - position)
            {
                return false;
            }

            position += unchanged;
            if (encoded.IsEmpty)
            {
                return true;
            }

            if (!TryReadLength(ref encoded, out int changed) || changed == 0 || changed > page.Length - position || changed > encoded.Length)
            {
                return false;
            }

            encoded[..changed].CopyTo(page[position..]);
            encoded = encoded[changed..];
            position += changed;
        }

        return true;
    }

    private static bool TryReadLength(ref ReadOnlySpan<byte> encoded, out int length)
    {
        length = encoded[0] & 0x7f;
        bool isLong = (encoded[0] & 0x80) != 0;
        encoded = encoded[1..];
        if (!isLong)
        {
            return true;
        }

        if (encoded.IsEmpty || (encoded[0] & 0x80) != 0)
        {
            return false;
        }

        length |= encoded[0] << 7;
        encoded = encoded[1..];
        return true;
    }
}
