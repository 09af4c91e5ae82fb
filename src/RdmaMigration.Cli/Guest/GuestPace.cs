using System.Diagnostics;

namespace RdmaMigration.Cli.Guest;

/// <summary>
/// Keeps one writer at its rate, and slows it when the guest is throttled. A writer that was held up does not catch up: its rate falls. Throttled by 20 %, it
/// writes at 80 % of its rate.
/// </summary>
/// <param name="gate">Where it idles.</param>
/// <param name="bytesPerSecond">The rate; 0 for none.</param>
internal struct GuestPace(GuestGate gate, double bytesPerSecond)
{
    /// <summary>How long a writer runs at a time when it is throttled; QEMU's virtual processors do the same.</summary>
    private static readonly TimeSpan s_slice = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan s_shortest = TimeSpan.FromMilliseconds(1);

    private static readonly long s_most = Stopwatch.Frequency / 20;

    private readonly double _ticksPerPage = bytesPerSecond > 0 ? GuestPage.Size / bytesPerSecond * Stopwatch.Frequency : 0;
    private double _due = Stopwatch.GetTimestamp();
    private long _sliceBegan = Stopwatch.GetTimestamp();

    /// <summary>After each page: idles if it is too early for the next one.</summary>
    /// <param name="throttle">Percent of the time in which the writer must not run: 0 to 99.</param>
    public void AfterPage(int throttle)
    {
        long now = Stopwatch.GetTimestamp();
        if (throttle > 0 && Stopwatch.GetElapsedTime(_sliceBegan, now) >= s_slice)
        {
            gate.Idle(s_slice * throttle / (100 - throttle));
            _sliceBegan = Stopwatch.GetTimestamp();
            _due += _sliceBegan - now;
            now = _sliceBegan;
        }

        _due = Math.Max(_due + _ticksPerPage, now - s_most);
        TimeSpan early = TimeSpan.FromSeconds((_due - now) / Stopwatch.Frequency);
        if (early >= s_shortest)
        {
            gate.Idle(early);
        }
    }
}
