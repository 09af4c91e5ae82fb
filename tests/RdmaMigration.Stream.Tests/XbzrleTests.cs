namespace RdmaMigration.Streams.Tests;

public sealed class XbzrleTests
{
    [Fact]
    public void What_a_reference_encoder_makes_of_two_pages_decodes_to_the_second()
    {
        Random random = new(20260712);
        for (int round = 0; round < 500; round++)
        {
            byte[] before = new byte[4096];
            random.NextBytes(before);
            byte[] after = [.. before];
            for (int i = random.Next(0, 40); i > 0; i--)
            {
                random.NextBytes(after.AsSpan(random.Next(0, 4096 - 64), random.Next(1, 64)));
            }

            byte[] page = [.. before];
            Assert.True(Xbzrle.TryDecode(Encode(before, after), page));
            Assert.Equal(after, page);
        }
    }

    [Fact]
    public void Nothing_changes_nothing()
    {
        byte[] page = [1, 2, 3, 4];
        Assert.True(Xbzrle.TryDecode([], page));
        Assert.Equal([1, 2, 3, 4], page);
    }

    [Theory]
    [InlineData(new byte[] { 5 })]
    [InlineData(new byte[] { 0, 5, 1, 1, 1, 1, 1 })]
    [InlineData(new byte[] { 0, 2, 1 })]
    [InlineData(new byte[] { 0, 0 })]
    [InlineData(new byte[] { 0x80 })]
    [InlineData(new byte[] { 0x80, 0x80 })]
    [InlineData(new byte[] { 3, 0x81 })]
    public void An_encoding_that_leaves_the_page_or_breaks_off_is_refused(byte[] encoded) =>
        Assert.False(Xbzrle.TryDecode(encoded, new byte[4]));

    [Fact]
    public void Any_bytes_either_decode_or_are_refused_within_the_page()
    {
        Random random = new(20260713);
        byte[] guarded = new byte[4096 + 64];
        for (int round = 0; round < 20000; round++)
        {
            byte[] encoded = new byte[random.Next(0, 64)];
            random.NextBytes(encoded);
            Xbzrle.TryDecode(encoded, guarded.AsSpan(32, 4096));
        }

        Assert.Equal(-1, guarded.AsSpan(0, 32).IndexOfAnyExcept((byte)0));
        Assert.Equal(-1, guarded.AsSpan(32 + 4096).IndexOfAnyExcept((byte)0));
    }

    private static byte[] Encode(byte[] before, byte[] after)
    {
        List<byte> encoded = new();
        int i = 0;
        while (i < after.Length)
        {
            int same = 0;
            while (i + same < after.Length && before[i + same] == after[i + same])
            {
                same++;
            }

            i += same;
            if (i == after.Length)
            {
                break;
            }

            int changed = 0;
            while (i + changed < after.Length && before[i + changed] != after[i + changed])
            {
                changed++;
            }

            AddLength(encoded, same);
            AddLength(encoded, changed);
            encoded.AddRange(after.AsSpan(i, changed));
            i += changed;
        }

        return [.. encoded];
    }

    private static void AddLength(List<byte> encoded, int length)
    {
        if (length < 0x80)
        {
            encoded.Add((byte)length);
        }
        else
        {
            encoded.Add((byte)(length | 0x80));
            encoded.Add((byte)(length >> 7));
        }
    }
}
