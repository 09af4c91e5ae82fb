using System.Numerics;

namespace RdmaMigration.Memory;

/// <summary>
/// One bit for each page of a block, which any thread sets at any time while one thread takes them. Setting does not allocate and does not block. A summary
/// has a bit for each word of 64 pages, so taking costs what is set. The arrays do not move, so that native code can set bits too; memory that is not touched
/// costs nothing.
/// </summary>
internal sealed unsafe class AtomicPageBits
{
    private const int WordBits = 64;
    private readonly ulong[] _words;
    private readonly ulong[] _summary;

    /// <param name="pages">The pages that it has a bit for.</param>
    public AtomicPageBits(ulong pages)
    {
        Pages = pages;
        _words = GC.AllocateArray<ulong>(Groups(pages), pinned: true);
        _summary = GC.AllocateArray<ulong>(Groups((ulong)_words.Length), pinned: true);
    }

    /// <summary>The pages that it has a bit for.</summary>
    public ulong Pages { get; }

    /// <summary>The words of 64 pages. Valid while this object is reachable.</summary>
    public ulong* Words => Address(_words);

    /// <summary>The bits of the words. A bit is set after those of its word. Valid while this object is reachable.</summary>
    public ulong* Summary => Address(_summary);

    /// <summary>Sets the bits of a run of pages. What this thread wrote before is visible to whoever takes the bits.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The run leaves the pages.</exception>
    public void Set(ulong first, ulong count)
    {
        if (first > Pages || count > Pages - first)
        {
            throw new ArgumentOutOfRangeException(nameof(first), $"pages {first} + {count} are outside {Pages}");
        }

        // A bit that is set already is not written again, so the earlier writes of this thread need a barrier: whoever takes the bit next has to see them.
        Interlocked.MemoryBarrier();
        for (ulong end = first + count; first < end;)
        {
            int word = (int)(first / WordBits);
            ulong stop = Math.Min(end, ((ulong)word + 1) * WordBits);
            ulong mask = (ulong.MaxValue >> (int)(WordBits - (stop - first))) << (int)(first % WordBits);
            SetMissing(ref _words[word], mask);

            // After the word: Take clears the summary first. Also when the word had the bit: whoever set it may not have come here yet.
            SetMissing(ref _summary[word / WordBits], 1UL << (word % WordBits));
            first = stop;
        }
    }

    /// <summary>Moves all bits into a bitmap. A bit that is set meanwhile is moved or stays.</summary>
    public void Take(PageBitmap into)
    {
        for (int group = 0; group < _summary.Length; group++)
        {
            if (Volatile.Read(ref _summary[group]) == 0)
            {
                continue;
            }

            for (ulong words = Interlocked.Exchange(ref _summary[group], 0); words != 0; words &= words - 1)
            {
                int word = (group * WordBits) + BitOperations.TrailingZeroCount(words);
                ulong bits = Interlocked.Exchange(ref _words[word], 0);
                while (bits != 0)
                {
                    int low = BitOperations.TrailingZeroCount(bits);
                    int count = BitOperations.TrailingZeroCount(~(bits >> low));
                    into.Set(((ulong)word * WordBits) + (ulong)low, (ulong)count);
                    bits = low + count < WordBits ? bits & (ulong.MaxValue << (low + count)) : 0;
                }
            }
        }
    }

    private static int Groups(ulong count) => checked((int)((count + WordBits - 1) / WordBits));

    private static ulong* Address(ulong[] pinned)
    {
        fixed (ulong* first = pinned)
        {
            return first;
        }
    }

    private static void SetMissing(ref ulong word, ulong bits)
    {
        if ((Volatile.Read(ref word) & bits) != bits)
        {
            Interlocked.Or(ref word, bits);
        }
    }
}
