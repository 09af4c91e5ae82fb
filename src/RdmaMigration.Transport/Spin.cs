using System.Diagnostics;

namespace RdmaMigration.Transport;

/// <summary>
/// How long the waits of one thread poll before it parks. Polling pays where the peer answers at once; a wait that lasted far longer says that the next one
/// most likely will too, and that parks straight away, until one was short again. The clock is looked at once in a while only: a poll costs less than that.
/// </summary>
/// <param name="time">Zero for no polling at all, negative for polling until the deadline.</param>
internal sealed class Spin(TimeSpan time)
{
    private const int PollsBetweenLooks = 16;

    /// <summary>In units of the polling time: a thread that parked wakes later than one that polled would have known.</summary>
    private const int LongestThatPays = 2;

    private readonly long _ticks = (long)(time.TotalSeconds * Stopwatch.Frequency);
    private bool _pays = true;
    private long _began;
    private long _end;
    private int _polls;

    /// <summary>A wait begins.</summary>
    /// <param name="deadline">Its end, as a <see cref="Stopwatch"/> timestamp.</param>
    public void Begin(long deadline)
    {
        _began = Stopwatch.GetTimestamp();
        _polls = 0;
        _end = _ticks < 0 ? deadline : _pays ? Math.Min(deadline, _began + _ticks) : _began;
    }

    /// <summary>Whether to poll once more.</summary>
    public bool Goes() => _end > _began && (++_polls % PollsBetweenLooks != 0 || Stopwatch.GetTimestamp() < _end);

    /// <summary>The wait has ended, in whatever way.</summary>
    public void End() => _pays = Stopwatch.GetTimestamp() - _began <= LongestThatPays * _ticks;
}
