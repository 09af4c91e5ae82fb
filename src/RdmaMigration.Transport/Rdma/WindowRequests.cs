namespace RdmaMigration.Transport;

/// <summary>
/// The control half of the page path: has ranges cleared and asks for keys, one message at a time as the credit allows, and stays a window ahead of the writes.
/// </summary>
internal sealed class WindowRequests(OutgoingControl control, IReadOnlyList<DestinationBlock> destination, IWindowSource windows)
{
    /// <summary>
    /// No further key is asked for while the windows that have a key and wait to be written span this many bytes: one large window, or many where memory is
    /// scattered. A window is pinned whole, however little of it is sent.
    /// </summary>
    private const ulong MostAhead = 64 << 20;

    /// <summary>The most that one message asks the destination to clear: the destination looks at all of it before it answers.</summary>
    private const ulong LargestClear = 1UL << 30;

    private readonly Queue<OutgoingWindow> _granted = new(16);
    private OutgoingWindow? _next;
    private OutgoingWindow? _asked;
    private ulong _grantedBytes;
    private bool _exhausted;
    private bool _clearing;
    private bool _creditIsNear;

    /// <summary>The destination works on a request, and no window has a key.</summary>
    public bool IsDry => _granted.Count == 0 && (_asked is not null || _next is not null);

    /// <summary>Every window was taken, and the destination has cleared every range.</summary>
    public bool IsDone => _exhausted && _next is null && _asked is null && _granted.Count == 0 && !_clearing;

    private bool MayLookAhead => !_exhausted && _grantedBytes < MostAhead;

    /// <summary>Takes an answer and sends the next request, as far as possible without waiting; false when nothing moved.</summary>
    public bool Step()
    {
        bool moved = false;
        if (_asked is { } answered && control.TryTakeRegistered(out RegisterResult result))
        {
            _asked = null;
            _creditIsNear = true;
            Grant(answered, result.RemoteKey, result.BlockAddress);
            windows.Keep(answered);
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

    /// <summary>
    /// Takes the next window that has a key, unless the credit for the next request is about to come: the credit follows the last answer at once, and the
    /// request then travels while the window is written.
    /// </summary>
    public OutgoingWindow? Take()
    {
        bool requestFollows = _creditIsNear && (_next is not null || MayLookAhead);
        if (requestFollows || !_granted.TryDequeue(out OutgoingWindow? window))
        {
            return null;
        }

        _grantedBytes -= window.Span;
        return window;
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
        return window.RemoteKey != 0 ? GrantKnown(window, window.RemoteKey, window.RemoteBase)
            : block.RemoteKey != 0 ? GrantKnown(window, block.RemoteKey, block.Address)
            : Ask(window, block);
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

    private bool GrantKnown(OutgoingWindow window, uint key, ulong blockAddress)
    {
        if (_clearing)
        {
            return false;
        }

        _next = null;
        windows.Register(window);
        Grant(window, key, blockAddress);
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
}
