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
    private bool _goes;
    private long _began;
    private long _end;
    private int _polls;

    /// <summary>A wait begins.</summary>
    /// <param name="deadline">Its end, as a <see cref="Stopwatch"/> timestamp.</param>
    public void Begin(long deadline)
    {
        _polls = 0;
        _end = deadline;
        _goes = _ticks != 0 && _pays;
        if (_ticks > 0)
        {
            _began = Stopwatch.GetTimestamp();
            _end = Math.Min(deadline, _began + _ticks);
        }
    }

    /// <summary>Whether to poll once more.</summary>
    public bool Goes() => _goes && (++_polls % PollsBetweenLooks != 0 || _end == long.MaxValue || Stopwatch.GetTimestamp() < _end);

    /// <summary>The wait has ended, in whatever way.</summary>
    public void End()
    {
        if (_ticks > 0)
        {
            _pays = Stopwatch.GetTimestamp() - _began <= LongestThatPays * _ticks;
        }
    }
}
