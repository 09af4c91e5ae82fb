using System.Diagnostics;
using System.Numerics;
using RdmaMigration.Memory;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// The memory regions of a destination's RAM. QEMU asks for one 1 MiB chunk at a time; registering costs far more than answering, so sequential
/// requests are met from windows that double, as read-ahead does: a dense machine needs a dozen registrations, and a lone chunk pins no more than itself.
/// A source that asks for several chunks knows what it will write, and gets just those. One thread uses it until it is disposed.
/// </summary>
/// <param name="domain">Where it is registered.</param>
/// <param name="largestWindow">The most bytes of a window that doubles.</param>
/// <param name="throwIfLost">Called before memory is registered, and now and then while that takes long: nobody waits for it any more if it throws.</param>
internal sealed class RamRegistration(ProtectionDomain domain, ulong largestWindow, Action throwIfLost) : IRamRegistration, IDisposable
{
    /// <summary>A window stops doubling here, 64 MiB: by then registration has long ceased to matter, and what is pinned beyond need stays small.</summary>
    public const ulong DefaultLargestWindow = 64 << 20;

    private const MemoryAccess RemoteWritable = MemoryAccess.LocalWrite | MemoryAccess.RemoteWrite;

    private const int NotSupported = 95; // ENOTSUP

    /// <summary>So much memory, 16 MiB, is cleared within 100 ms even by an emulated processor.</summary>
    private const ulong PopulateStep = 16 << 20;

    /// <summary>
    /// So many threads have the kernel clear a step, a part each: one is far slower than memory, and the source waits. A power of 2, so that parts are whole.
    /// </summary>
    private static readonly int s_populators = 1 << BitOperations.Log2((uint)Math.Min(Environment.ProcessorCount, 16));

    private readonly Dictionary<RamBlock, List<RegistrationWindow>> _windows = [];

    public uint RegisterBlock(RamBlock block)
    {
        ulong last = (block.Length - 1) >> Chunk.Shift;
        return (Find(block, 0, last) ?? Add(block, 0, last, readAhead: false)).RemoteKey;
    }

    public uint RegisterChunks(RamBlock block, ulong first, ulong last)
    {
        RegistrationWindow? window = Find(block, first, last) ?? Add(block, first, last == first ? ReadAhead(block, first) : last, readAhead: last == first);
        return window.HandOut(first, last);
    }

    public bool UnregisterChunk(RamBlock block, ulong chunk)
    {
        RegistrationWindow? window = _windows.GetValueOrDefault(block)?.Find(window => window.IsHandedOut(chunk));
        if (window is null)
        {
            return false;
        }

        if (window.TakeBack(chunk))
        {
            _windows[block].Remove(window);
            window.Dispose();
        }

        return true;
    }

    public void Dispose()
    {
        foreach (RegistrationWindow window in _windows.Values.SelectMany(windows => windows))
        {
            window.Dispose();
        }

        _windows.Clear();
    }

    private RegistrationWindow? Find(RamBlock block, ulong first, ulong last) =>
        _windows.GetValueOrDefault(block)?.FindLast(window => window.Covers(first, last));

    /// <summary>The last chunk of a window at <paramref name="first"/>: twice the read-ahead that ends where this one starts, if there is one.</summary>
    private ulong ReadAhead(RamBlock block, ulong first)
    {
        RegistrationWindow? before = _windows.GetValueOrDefault(block)?.FindLast(window => window.IsReadAhead && window.Last + 1 == first);
        ulong chunks = before is null ? 1 : Math.Min(2 * (before.Last - before.First + 1), largestWindow >> Chunk.Shift);
        return Math.Min(first + Math.Max(chunks, 1) - 1, (block.Length - 1) >> Chunk.Shift);
    }

    private RegistrationWindow Add(RamBlock block, ulong first, ulong last, bool readAhead)
    {
        ulong start = first << Chunk.Shift;
        ulong length = Math.Min((last + 1) << Chunk.Shift, block.Length) - start;
        if (length > largestWindow)
        {
            Populate(block, start, length);
        }

        throwIfLost();
        long began = Stopwatch.GetTimestamp();
        RegistrationWindow window = new(Register(block, start, length), first, last, readAhead);
        TransportMetrics.OnRegistered(isSource: false, length, began);
        if (!_windows.TryGetValue(block, out List<RegistrationWindow>? windows))
        {
            _windows.Add(block, windows = []);
        }

        windows.Add(window);
        return window;
    }

    /// <summary>
    /// What has one key is registered by one call, which nothing ends before its time. Most of that time would be the kernel clearing memory: for a whole
    /// block, or what else is large, that is done before, step by step.
    /// </summary>
    private void Populate(RamBlock block, ulong start, ulong length)
    {
        ulong end = start + length;
        bool goesOn = true;
        for (ulong at = start; goesOn && at < end; at += PopulateStep)
        {
            throwIfLost();
            ulong first = at;
            goesOn = Parallel.For(0, s_populators, (i, parts) =>
            {
                ulong part = PopulateStep / (ulong)s_populators;
                ulong from = first + ((ulong)i * part);
                if (from < end && !block.TryPopulate(from, Math.Min(part, end - from)))
                {
                    parts.Stop();
                }
            }).IsCompleted;
        }
    }

    private unsafe MemoryRegion Register(RamBlock block, ulong offset, ulong length)
    {
        nint address = (nint)(block.Pointer + offset);
        try
        {
            try
            {
                return domain.Register(address, (nuint)length, RemoteWritable);
            }
            catch (VerbsException unsupported) when (unsupported.Errno == NotSupported)
            {
                // A device may refuse to pin this kind of memory and still page it in on demand (PROTOCOL.md, Registration).
                return domain.Register(address, (nuint)length, RemoteWritable | MemoryAccess.OnDemand);
            }
        }
        catch (VerbsException failed)
        {
            throw new RegistrationException($"cannot register {length} bytes at offset {offset} of RAM block '{block.Name}': {failed.Message}", failed);
        }
    }
}

/// <summary>A memory region over a run of chunks, and which of them the source holds a key for.</summary>
internal sealed class RegistrationWindow(MemoryRegion region, ulong first, ulong last, bool readAhead) : IDisposable
{
    private readonly HashSet<ulong> _handedOut = [];

    public uint RemoteKey => region.RemoteKey;

    public ulong First => first;

    public ulong Last => last;

    /// <summary>The source asks for one chunk after the other.</summary>
    public bool IsReadAhead => readAhead;

    public bool Covers(ulong from, ulong to) => from >= first && to <= last;

    public bool IsHandedOut(ulong chunk) => _handedOut.Contains(chunk);

    public uint HandOut(ulong from, ulong to)
    {
        for (ulong chunk = from; chunk <= to; chunk++)
        {
            _handedOut.Add(chunk);
        }

        return RemoteKey;
    }

    /// <summary>True when no chunk of the window is handed out any more.</summary>
    public bool TakeBack(ulong chunk)
    {
        _handedOut.Remove(chunk);
        return _handedOut.Count == 0;
    }

    public void Dispose() => region.Dispose();
}
