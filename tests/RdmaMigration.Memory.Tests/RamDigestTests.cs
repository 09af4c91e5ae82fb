namespace RdmaMigration.Memory.Tests;

public sealed class RamDigestTests
{
    private const ulong Page = RamBlock.LengthUnit;

    [Fact]
    public void A_hole_and_memory_that_is_zero_have_one_digest()
    {
        using RamBlock holes = Block();
        using RamBlock zeros = Block();
        zeros.Slice(0, (int)(2 * Page)).Clear();
        holes.Slice(3 * Page, 1)[0] = 7;
        zeros.Slice(3 * Page, 1)[0] = 7;

        Assert.True(zeros.ResidentBytes > holes.ResidentBytes);
        Assert.Equal(Digest(holes), Digest(zeros));
    }

    [Fact]
    public void A_digest_fills_no_hole()
    {
        using RamBlock block = Block();
        block.Slice(3 * Page, 1)[0] = 7;
        Digest(block);
        Assert.Equal(Page, block.ResidentBytes);
    }

    [Fact]
    public void Each_bit_and_the_place_of_a_page_count()
    {
        using RamBlock block = Block();
        HashSet<UInt128> seen = [Digest(block)];
        for (ulong page = 0; page < 4; page++)
        {
            foreach (byte value in (byte[])[1, 0x80])
            {
                block.Slice((page * Page) + 17, 1)[0] = value;
                Assert.True(seen.Add(Digest(block)), $"page {page}, byte 0x{value:x}");
            }

            block.Slice((page * Page) + 17, 1)[0] = 0;
        }
    }

    private static RamBlock Block() => RamBlock.Allocate("ram", 4 * Page);

    private static UInt128 Digest(RamBlock block) => RamDigest.Of(block, TestContext.Current.CancellationToken);
}
