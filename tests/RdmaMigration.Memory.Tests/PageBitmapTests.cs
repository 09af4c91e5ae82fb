namespace RdmaMigration.Memory.Tests;

public sealed class PageBitmapTests
{
    private const ulong Leaf = 32768;

    [Fact]
    public void Any_sequence_of_changes_gives_what_a_plain_array_gives()
    {
        Random random = new(20261126);
        for (int round = 0; round < 20; round++)
        {
            ulong pages = (ulong)random.Next(1, (int)(4 * Leaf));
            PageBitmap bitmap = new(pages);
            PageBitmap other = new(pages);
            bool[] plain = new bool[pages];
            bool[] plainOther = new bool[pages];
            for (int step = 0; step < 60; step++)
            {
                ulong first = (ulong)random.NextInt64((long)pages);
                ulong count = Math.Min((ulong)random.Next(random.Next(3) == 0 ? (int)pages + 1 : 200), pages - first);
                switch (random.Next(6))
                {
                    case 0 or 1:
                        bitmap.Set(first, count);
                        plain.AsSpan((int)first, (int)count).Fill(true);
                        break;
                    case 2:
                        bitmap.Clear(first, count);
                        plain.AsSpan((int)first, (int)count).Clear();
                        break;
                    case 3:
                        other.Set(first, count);
                        plainOther.AsSpan((int)first, (int)count).Fill(true);
                        break;
                    case 4:
                        bitmap.Or(other);
                        for (int i = 0; i < plain.Length; i++)
                        {
                            plain[i] |= plainOther[i];
                        }

                        break;
                    default:
                        (random.Next(2) == 0 ? (Action)bitmap.SetAll : bitmap.ClearAll)();
                        Array.Fill(plain, bitmap.Count != 0);
                        break;
                }

                Assert.Equal((ulong)plain.Count(set => set), bitmap.Count);
                AssertRuns(plain, bitmap);
            }
        }
    }

    [Fact]
    public void Runs_cross_words_and_leaves_and_end_at_the_last_page()
    {
        PageBitmap bitmap = new((3 * Leaf) + 5);
        bitmap.Set(Leaf - 3, Leaf + 7);
        bitmap.Set((3 * Leaf) + 4, 1);

        Assert.True(bitmap.TryNext(0, out ulong start, out ulong end));
        Assert.Equal((Leaf - 3, (2 * Leaf) + 4), (start, end));
        Assert.True(bitmap.TryNext(Leaf + 9, out start, out end));
        Assert.Equal((Leaf + 9, (2 * Leaf) + 4), (start, end));
        Assert.True(bitmap.TryNext(end, out start, out end));
        Assert.Equal(((3 * Leaf) + 4, (3 * Leaf) + 5), (start, end));
        Assert.False(bitmap.TryNext(end, out start, out end));
        Assert.Equal((bitmap.Pages, bitmap.Pages), (start, end));
    }

    [Fact]
    public void Clear_runs_are_found_up_to_a_bound()
    {
        PageBitmap bitmap = new(3 * Leaf);
        bitmap.Set(0, 10);
        bitmap.Set(20, (2 * Leaf) - 20);

        Assert.True(bitmap.TryNextClear(0, 3 * Leaf, out ulong start, out ulong end));
        Assert.Equal((10UL, 20UL), (start, end));
        Assert.True(bitmap.TryNextClear(12, 15, out start, out end));
        Assert.Equal((12UL, 15UL), (start, end));
        Assert.False(bitmap.TryNextClear(20, 2 * Leaf, out _, out _));
        Assert.True(bitmap.TryNextClear(20, 3 * Leaf, out start, out end));
        Assert.Equal((2 * Leaf, 3 * Leaf), (start, end));
    }

    [Fact]
    public void A_bitmap_of_a_full_leaf_is_not_shared_with_others_once_it_changes()
    {
        PageBitmap one = new(Leaf);
        PageBitmap other = new(Leaf);
        one.SetAll();
        other.Or(one);
        one.Clear(7, 1);
        Assert.False(one[7]);
        Assert.True(other[7]);
        Assert.Equal(Leaf - 1, one.Count);
        Assert.Equal(Leaf, other.Count);
    }

    [Fact]
    public void What_is_outside_is_refused_also_when_the_sum_overflows()
    {
        PageBitmap bitmap = new(100);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Set(99, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Clear(101, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.Set(1, ulong.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap[100]);
        Assert.Throws<ArgumentException>(() => bitmap.Or(new PageBitmap(101)));
        Assert.Equal(0UL, bitmap.Count);
    }

    [Fact]
    public void A_sparse_bitmap_of_a_tebibyte_takes_memory_for_what_is_set_only()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        PageBitmap bitmap = new((1UL << 40) / 4096);
        bitmap.Set(12345678, 1);
        bitmap.Set(200_000_000, 5);
        long taken = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.InRange(taken, 1, 256 << 10);
        Assert.Equal(6UL, bitmap.Count);
        Assert.True(bitmap.TryNext(12345679, out ulong start, out ulong end));
        Assert.Equal((200_000_000UL, 200_000_005UL), (start, end));
    }

    private static void AssertRuns(bool[] plain, PageBitmap bitmap)
    {
        int position = 0;
        for (ulong page = 0; bitmap.TryNext(page, out ulong start, out ulong end); page = end)
        {
            Assert.True(end > start && start >= page);
            Assert.Equal(-1, plain.AsSpan(position, (int)start - position).IndexOf(true));
            Assert.Equal(-1, plain.AsSpan((int)start, (int)(end - start)).IndexOf(false));
            Assert.True(bitmap[start] && bitmap[end - 1] && (end == bitmap.Pages || !bitmap[end]));
            position = (int)end;
        }

        Assert.Equal(-1, plain.AsSpan(position).IndexOf(true));
    }
}
