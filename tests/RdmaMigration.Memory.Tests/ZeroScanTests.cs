namespace RdmaMigration.Memory.Tests;

public sealed class ZeroScanTests
{
    [Fact]
    public void A_stray_byte_is_found_at_every_place_of_every_length_and_alignment()
    {
        byte[] memory = new byte[700];
        for (int start = 0; start < 64; start += 7)
        {
            for (int length = 0; length <= 600; length++)
            {
                Span<byte> span = memory.AsSpan(start, length);
                Assert.True(ZeroScan.IsZero(span));
                int step = length < 300 ? 1 : 13;
                for (int i = 0; i < length; i += step)
                {
                    span[i] = 0x80;
                    Assert.False(ZeroScan.IsZero(span), $"start {start}, length {length}, byte {i}");
                    span[i] = 0;
                }
            }
        }
    }

    [Fact]
    public void Each_bit_of_each_byte_of_a_page_counts()
    {
        byte[] page = new byte[4096];
        for (int i = 0; i < page.Length; i++)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                page[i] = (byte)(1 << bit);
                Assert.False(ZeroScan.IsZero(page));
            }

            page[i] = 0;
        }

        Assert.True(ZeroScan.IsZero(page));
    }

    [Fact]
    public void Bytes_outside_the_span_do_not_count()
    {
        byte[] memory = new byte[4096 + 2];
        memory[0] = memory[^1] = 1;
        Assert.True(ZeroScan.IsZero(memory.AsSpan(1, 4096)));
    }

    [Fact]
    public void A_page_is_scanned_without_allocation()
    {
        byte[] page = new byte[4096];
        ZeroScan.IsZero(page);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            ZeroScan.IsZero(page);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
