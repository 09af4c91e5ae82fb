using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// Moves RAM: the page path. Two lanes share one thread. The control lane has ranges cleared and asks for keys, one message at a time as the credit allows, and
/// stays a window ahead. The data lane writes what has a key and keeps the send queue filled, but not so full that a request would wait long behind it.
/// So the destination registers the next window while this one is on the wire. Used once.
/// </summary>
/// <param name="link">The connection.</param>
/// <param name="control">The protocol on it.</param>
/// <param name="blocks">What is sent.</param>
/// <param name="destination">The destination's blocks, in the same order; a key of 0 makes it ask for keys window by window.</param>
/// <param name="windows">What to send of the blocks.</param>
/// <param name="limit">Paces the writes; null for no limit.</param>
internal sealed class RamSender(
    IRamLink link,
    OutgoingControl control,
    IReadOnlyList<RamBlock> blocks,
    IReadOnlyList<DestinationBlock> destination,
    IWindowSource windows,
    BandwidthLimit? limit)
{
    /// <summary>The most bytes that one write carries: a chunk, as QEMU writes.</summary>
    private const int LargestWrite = (int)Chunk.Size;

    /// <summary>
    /// The same while the destination works on a request and nothing further has a key: a device in software does the whole transfer inside the post, and the next
    /// request is to follow the answer soon. Else the data lane runs dry where memory is scattered.
    /// </summary>
    private const int MostAmidRequests = LargestWrite / 4;

    /// <summary>
    /// The most bytes that are posted and not done. What a fast path needs (400 Gb/s × 10 µs) is half a MiB; on a slow one a control message must not wait
    /// behind a whole window.
    /// </summary>
    private const long MostOutstanding = 16 << 20;

    /// <summary>
    /// No further key is asked for while windows that span so many bytes have theirs and wait for the data lane: one large window, or many where memory is
    /// scattered. A window is pinned whole, however little of it is sent.
    /// </summary>
    private const ulong MostAhead = 64 << 20;

    /// <summary>The most that one message asks the destination to clear: it looks at all of it before it answers.</summary>
    private const ulong LargestClear = 1UL << 30;

    private readonly Queue<OutgoingWindow> _granted = new(16);
    private readonly Queue<OutgoingWindow> _posted = new(16);
    private OutgoingWindow? _next;
    private OutgoingWindow? _asked;
    private OutgoingWindow? _current;
    private ulong _grantedBytes;
    private bool _exhausted;
    private bool _clearing;
    private bool _creditIsNear;
    private int _run;
    private ulong _runDone;

    private bool MayLookAhead => !_exhausted && _grantedBytes < MostAhead;

    private bool AwaitsDestination => _asked is not null || _next is not null;

    private bool IsDone => _exhausted && _next is null && _asked is null && _current is null && _granted.Count == 0 && _posted.Count == 0 && !_clearing;

    /// <summary>Sends everything and returns when the destination's device has it.</summary>
    /// <exception cref="TransportException">The connection is lost, the destination broke the protocol, or memory cannot be registered.</exception>
    public void Run()
    {
        while (true)
        {
            long written = link.WrittenBytes;
            control.Pump();
            bool moved = StepControl() | StepData(out TimeSpan pause) | LetGo();
            if (IsDone)
            {
                return;
            }

            if (!moved)
            {
                link.Park(written, pause);
            }
        }
    }

    private bool StepControl()
    {
        bool moved = false;
        if (_asked is { } answered && control.TryTakeRegistered(out RegisterResult result))
        {
            _asked = null;
            _creditIsNear = true;
            Grant(answered, result.RemoteKey, result.BlockAddress);
            moved = true;
        }

        if (control.HasCredit)
        {
            // The destination asks for more only when it has carried out what came before.
            _clearing = _creditIsNear = false;
        }

        if (_next is null && MayLookAhead)
        {
            _next = windows.Next();
            _exhausted = _next is null;
        }

        return _next is { } window && _asked is null ? moved | Advance(window) : moved;
    }

    private bool Advance(OutgoingWindow window)
    {
        if (window.ClearStart < window.ClearEnd)
        {
            return Clear(window);
        }

        if (!window.HasData)
        {
            _next = null;
            windows.Return(window);
            return true;
        }

        DestinationBlock block = destination[window.Block];
        return block.RemoteKey != 0 ? GrantPinned(window, block) : Ask(window, block);
    }

    private bool Clear(OutgoingWindow window)
    {
        if (!control.HasCredit)
        {
            return false;
        }

        ulong length = Math.Min(window.ClearEnd - window.ClearStart, LargestClear);
        control.SendZero((uint)window.Block, destination[window.Block].Offset + window.ClearStart, length);
        window.ClearStart += length;
        _clearing = true;
        return true;
    }

    private bool GrantPinned(OutgoingWindow window, DestinationBlock block)
    {
        if (_clearing)
        {
            return false;
        }

        _next = null;
        Grant(window, block.RemoteKey, block.Address);
        return true;
    }

    private bool Ask(OutgoingWindow window, DestinationBlock block)
    {
        if (!control.HasCredit)
        {
            return false;
        }

        ulong chunks = (window.Span + Chunk.Size - 1) >> Chunk.Shift;
        control.SendRegister(new RegisterRequest(block.Offset + window.Start, (uint)window.Block, chunks - 1));
        _next = null;
        _asked = window;

        // While the destination registers its side.
        windows.Register(window);
        return true;
    }

    private void Grant(OutgoingWindow window, uint key, ulong blockAddress)
    {
        window.RemoteKey = key;
        window.RemoteBase = blockAddress;
        _grantedBytes += window.Span;
        _granted.Enqueue(window);
    }

    /// <summary>
    /// Posts one write and goes back to the control lane: a device in software does the whole transfer inside the post, and a request must not wait for a
    /// queue full of them.
    /// </summary>
    private bool StepData(out TimeSpan pause)
    {
        pause = Timeout.InfiniteTimeSpan;
        _current ??= TakeGranted();
        if (_current is null)
        {
            return false;
        }

        if (link.PostedBytes - link.WrittenBytes >= MostOutstanding)
        {
            return false;
        }

        if (limit is not null && limit.Pause is var rest && rest > TimeSpan.Zero)
        {
            pause = rest;
            return false;
        }

        return PostNext(_current);
    }

    /// <summary>
    /// Takes the next window, unless the credit for the next request is just coming: it follows the last answer at once, and the request then travels while
    /// the window is written.
    /// </summary>
    private OutgoingWindow? TakeGranted()
    {
        bool requestFollows = _creditIsNear && (_next is not null || MayLookAhead);
        if (requestFollows || !_granted.TryDequeue(out OutgoingWindow? window))
        {
            return null;
        }

        _grantedBytes -= window.Span;
        return window;
    }

    private unsafe bool PostNext(OutgoingWindow window)
    {
        RamRun run = window.Runs[_run];
        ulong offset = run.Offset + _runDone;
        int most = _granted.Count == 0 && AwaitsDestination ? MostAmidRequests : LargestWrite;
        uint length = (uint)Math.Min(run.End - offset, (ulong)(limit?.Portion(most) ?? most));
        bool lastOfRun = offset + length == run.End;
        bool lastOfWindow = lastOfRun && _run + 1 == window.Runs.Count;
        nint address = (nint)(blocks[window.Block].Pointer + offset);
        if (!link.TryWrite(address, length, window.Region.Key, window.RemoteBase + offset, window.RemoteKey, lastOfWindow))
        {
            return false;
        }

        limit?.Sent(length);
        _runDone = lastOfRun ? 0 : _runDone + length;
        _run = lastOfRun ? _run + 1 : _run;
        if (lastOfWindow)
        {
            window.PostedEnd = link.PostedBytes;
            _posted.Enqueue(window);
            _current = null;
            _run = 0;
        }

        return true;
    }

    /// <summary>Returns the windows whose writes are done.</summary>
    private bool LetGo()
    {
        bool any = false;
        while (_posted.TryPeek(out OutgoingWindow? window) && link.WrittenBytes >= window.PostedEnd)
        {
            windows.Return(_posted.Dequeue());
            any = true;
        }

        return any;
    }
}
