using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>
/// A mapped range that is registered for write protection, and where the bits of its pages of 4 KiB are; laid out as struct rdmamig_tracked_range of
/// native/linux.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct TrackedRange
{
    /// <summary>The first byte.</summary>
    public byte* Start;

    /// <summary>The byte after the last.</summary>
    public byte* End;

    /// <summary>The page size of the memory, in bytes: a power of two, 4096 or more.</summary>
    public ulong PageSize;

    /// <summary>A bit for each page of 4 KiB, 64 in a word.</summary>
    public ulong* Words;

    /// <summary>A bit for each word, 64 in a word: that word may have a bit. It is set after the bits of the word.</summary>
    public ulong* Summary;
}

/// <summary>
/// The thread that answers a userfaultfd of synchronous write protection: it unprotects a page that is written, and then sets its bits. The thread is
/// <c>mig/src/writes</c> and runs no managed code: a managed thread that waits for a page cannot be suspended, and a garbage collection, which suspends all
/// threads, would wait for the two for ever.
/// </summary>
public sealed unsafe partial class WriteFaultThread : IDisposable
{
    private const string Library = "rdmamig_linux";
    private readonly TrackedRange* _ranges;
    private readonly Shared* _shared;
    private nint _thread;

    /// <summary>Starts the thread. Protect pages afterwards.</summary>
    /// <param name="userFault">The userfaultfd. It stays open until this is disposed.</param>
    /// <param name="ranges">The registered ranges. What they point to stays in place until this is disposed.</param>
    /// <exception cref="LinuxException">The thread cannot be started.</exception>
    /// <exception cref="DllNotFoundException">librdmamig_linux.so is not beside the program.</exception>
    public WriteFaultThread(int userFault, ReadOnlySpan<TrackedRange> ranges)
    {
        _ranges = (TrackedRange*)NativeMemory.Alloc((nuint)ranges.Length, (nuint)sizeof(TrackedRange));
        _shared = (Shared*)NativeMemory.AllocZeroed((nuint)sizeof(Shared));
        ranges.CopyTo(new Span<TrackedRange>(_ranges, ranges.Length));
        int error = 0;
        try
        {
            _thread = rdmamig_write_faults_start(userFault, _ranges, (uint)ranges.Length, _shared, &error);
        }
        finally
        {
            if (_thread == 0)
            {
                Free();
            }
        }

        if (_thread == 0)
        {
            throw new LinuxException("pthread_create", (Errno)error);
        }
    }

    /// <summary>Write faults answered so far.</summary>
    /// <exception cref="ObjectDisposedException">It is disposed.</exception>
    public long Faults
    {
        get
        {
            ObjectDisposedException.ThrowIf(_thread == 0, this);
            return (long)Volatile.Read(ref _shared->Faults);
        }
    }

    /// <summary>
    /// Waits until the bit of every page that was written before the call is set: the thread unprotects a page before it sets the bit. It takes microseconds.
    /// </summary>
    /// <exception cref="LinuxException">The thread could not go on. It has ended the registration of all ranges, and writes are not seen.</exception>
    /// <exception cref="ObjectDisposedException">It is disposed.</exception>
    public void Settle()
    {
        ObjectDisposedException.ThrowIf(_thread == 0, this);
        Interlocked.MemoryBarrier();
        ulong sequence = Volatile.Read(ref _shared->Sequence);
        if (sequence % 2 != 0)
        {
            SpinWait spin = default;
            while (Volatile.Read(ref _shared->Sequence) == sequence)
            {
                spin.SpinOnce();
            }
        }

        if (Volatile.Read(ref _shared->Error) is not 0 and long error)
        {
            throw new LinuxException("UFFDIO_WRITEPROTECT", (Errno)error);
        }
    }

    /// <summary>Ends the thread. Unregister the ranges before: nobody lets their writers go on afterwards.</summary>
    public void Dispose()
    {
        if (_thread != 0)
        {
            rdmamig_write_faults_stop(_thread);
            _thread = 0;
            Free();
        }
    }

    private void Free()
    {
        NativeMemory.Free(_ranges);
        NativeMemory.Free(_shared);
    }

    [LibraryImport(Library)]
    private static partial nint rdmamig_write_faults_start(int userFault, TrackedRange* ranges, uint count, Shared* shared, int* error);

    [LibraryImport(Library)]
    private static partial void rdmamig_write_faults_stop(nint thread);

    /// <summary>struct rdmamig_write_faults.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Shared
    {
        public ulong Sequence;
        public ulong Faults;
        public long Error;
    }
}
