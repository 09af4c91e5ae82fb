using System.Diagnostics;

namespace RdmaMigration.Transport;

/// <summary>How long a wait polls before the thread parks. The clock is looked at once in a while only: a poll costs less than that.</summary>
internal struct Spin
{
    private const int PollsBetweenLooks = 16;

    private readonly long _end;
    private int _polls;

    /// <param name="time">Zero for no polling at all, negative for polling until the deadline.</param>
    /// <param name="deadline">The end of the wait, as a <see cref="Stopwatch"/> timestamp.</param>
    public Spin(TimeSpan time, long deadline) =>
        _end = time == TimeSpan.Zero ? 0 : time < TimeSpan.Zero ? deadline : Math.Min(deadline, Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency));

    /// <summary>Whether to poll once more.</summary>
    public bool Goes() => _end != 0 && (++_polls % PollsBetweenLooks != 0 || Stopwatch.GetTimestamp() < _end);
}
