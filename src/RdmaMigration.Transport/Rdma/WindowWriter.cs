using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// The data half of the page path: writes the windows that have a key over one lane, and keeps its send queue filled, but not so full that a request would wait
/// long behind it. Over several lanes each has a writer.
/// </summary>
internal sealed class WindowWriter(IWriteLane lane, IReadOnlyList<RamBlock> blocks, WindowRequests requests, IWindowSource windows, BandwidthLimit? limit)
{
    /// <summary>The most bytes that one write carries: a chunk, as QEMU writes.</summary>
    private const int LargestWrite = (int)Chunk.Size;

    /// <summary>
    /// The same while the destination works on a request and no further window has a key: a software device does the whole transfer inside the post, and the
    /// next request is to follow the answer soon. Otherwise the lane runs dry where memory is scattered.
    /// </summary>
    private const int LargestWriteWhileDry = LargestWrite / 4;

    /// <summary>
    /// The most bytes that are posted and not done. A fast path needs half a MiB (400 Gb/s × 10 µs); on a slow one a control message must not wait behind a
    /// whole window.
    /// </summary>
    private const long MostOutstanding = 16 << 20;

    private readonly Queue<OutgoingWindow> _posted = new(16);
    private OutgoingWindow? _current;
    private int _run;
    private ulong _runDone;

    /// <summary>Every window that was taken is written.</summary>
    public bool IsDone => _current is null && _posted.Count == 0;

    /// <summary>
    /// Posts one write and returns to the requests: a software device does the whole transfer inside the post, and a request must not wait for a queue
    /// full of writes.
    /// </summary>
    public bool Step(out TimeSpan pause)
    {
        pause = Timeout.InfiniteTimeSpan;
        _current ??= requests.Take();
        if (_current is null)
        {
            return false;
        }

        if (lane.PostedBytes - lane.WrittenBytes >= MostOutstanding)
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

    /// <summary>Returns the windows whose writes are done.</summary>
    public bool ReturnWritten()
    {
        bool any = false;
        while (_posted.TryPeek(out OutgoingWindow? window) && lane.WrittenBytes >= window.PostedEnd)
        {
            windows.Return(_posted.Dequeue());
            any = true;
        }

        return any;
    }

    private unsafe bool PostNext(OutgoingWindow window)
    {
        RamRun run = window.Runs[_run];
        ulong offset = run.Offset + _runDone;
        int most = requests.IsDry ? LargestWriteWhileDry : LargestWrite;
        uint length = (uint)Math.Min(run.End - offset, (ulong)(limit?.Portion(most) ?? most));
        bool lastOfRun = offset + length == run.End;
        bool lastOfWindow = lastOfRun && _run + 1 == window.Runs.Count;
        nint address = (nint)(blocks[window.Block].Pointer + offset);
        if (!lane.TryWrite(address, length, window.Region.Key, window.RemoteBase + offset, window.RemoteKey, lastOfWindow))
        {
            return false;
        }

        limit?.Sent(length);
        _runDone = lastOfRun ? 0 : _runDone + length;
        _run = lastOfRun ? _run + 1 : _run;
        if (lastOfWindow)
        {
            window.PostedEnd = lane.PostedBytes;
            _posted.Enqueue(window);
            _current = null;
            _run = 0;
        }

        return true;
    }
}
