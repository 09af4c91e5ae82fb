namespace RdmaMigration.Engine;

/// <summary>
/// Notices a source that waits for SWITCHOVER_ACK: it has sent everything and repeats passes without a page, thousands a second (measured with QEMU 10.0 over TCP).
/// A source that does not wait sends a section with pages each time, or ends RAM. Over RDMA no page shows in the stream; there the rate alone counts: a QEMU
/// that has pages to send fills 50 ms with each section.
/// </summary>
internal sealed class IdlePasses
{
    /// <summary>So many sections without a page in a row, within <see cref="Window"/>, are a source that waits.</summary>
    public const int Enough = 100;

    /// <summary>The time in which they must come.</summary>
    public static TimeSpan Window { get; } = TimeSpan.FromSeconds(1);

    private TimeSpan _began;
    private int _count;

    /// <summary>Notes a section of the stream. True once, when the source is known to wait.</summary>
    /// <param name="isIdle">A PART section of RAM without a page in the stream.</param>
    /// <param name="now">Any steady clock.</param>
    public bool Note(bool isIdle, TimeSpan now)
    {
        if (!isIdle)
        {
            _count = 0;
            return false;
        }

        if (_count == 0 || now - _began > Window)
        {
            _began = now;
            _count = 0;
        }

        return ++_count == Enough;
    }
}
