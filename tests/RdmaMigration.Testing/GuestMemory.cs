using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace RdmaMigration.Testing;

/// <summary>Files that are a machine's RAM: filled from a seed, compared byte for byte.</summary>
public static class GuestMemory
{
    private const int Step = 1 << 20;
    private const int Page = 4096;

    /// <summary>
    /// Writes <paramref name="mebibytes"/> MiB, random throughout; or half of it zero: of every four MiB one random, one a hole, one random and zero
    /// pages in turn, one random in its first half.
    /// </summary>
    /// <param name="path">The file to write.</param>
    /// <param name="mebibytes">Its length in MiB.</param>
    /// <param name="seed">The same seed gives the same bytes.</param>
    /// <param name="halfZero">Half of it zero.</param>
    public static void Fill(string path, int mebibytes, ulong seed, bool halfZero)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        RandomAccess.SetLength(file, (long)mebibytes << 20);
        byte[] random = new byte[Step];
        ulong state = seed;
        for (int i = 0; i < mebibytes; i++)
        {
            long offset = (long)i << 20;
            int kind = halfZero ? i % 4 : 0;
            if (kind == 1)
            {
                continue;
            }

            FillRandom(random, ref state);
            if (kind == 2)
            {
                WriteEverySecondPage(file, random, offset);
            }
            else
            {
                RandomAccess.Write(file, random.AsSpan(0, kind == 3 ? Step / 2 : Step), offset);
            }
        }
    }

    /// <summary>Writes <paramref name="mebibytes"/> MiB: random where <paramref name="isData"/> says so of a MiB's number, else a hole.</summary>
    public static void Fill(string path, int mebibytes, ulong seed, Func<int, bool> isData)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        RandomAccess.SetLength(file, (long)mebibytes << 20);
        byte[] random = new byte[Step];
        ulong state = seed;
        for (int i = 0; i < mebibytes; i++)
        {
            if (isData(i))
            {
                FillRandom(random, ref state);
                RandomAccess.Write(file, random, (long)i << 20);
            }
        }
    }

    /// <summary>The offset of the first byte that differs, or -1. Files of different lengths differ where the shorter one ends.</summary>
    public static long FirstDifference(string left, string right)
    {
        using SafeFileHandle a = File.OpenHandle(left);
        using SafeFileHandle b = File.OpenHandle(right);
        byte[] bufferA = new byte[Step];
        byte[] bufferB = new byte[Step];
        for (long offset = 0; ;)
        {
            int gotA = RandomAccess.Read(a, bufferA, offset);
            int gotB = RandomAccess.Read(b, bufferB.AsSpan(0, gotA == 0 ? Step : gotA), offset);
            int common = bufferA.AsSpan(0, gotA).CommonPrefixLength(bufferB.AsSpan(0, gotB));
            if (common < Math.Max(gotA, gotB))
            {
                return offset + common;
            }

            if (gotA == 0)
            {
                return -1;
            }

            offset += gotA;
        }
    }

    // splitmix64: 8 bytes a step, no state beyond one word, and no two seeds share a page.
    private static void FillRandom(Span<byte> bytes, ref ulong state)
    {
        foreach (ref ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            state += 0x9e3779b97f4a7c15;
            ulong z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }

    private static void WriteEverySecondPage(SafeFileHandle file, byte[] bytes, long offset)
    {
        for (int at = 0; at < Step; at += 2 * Page)
        {
            RandomAccess.Write(file, bytes.AsSpan(at, Page), offset + at);
        }
    }
}
