namespace RdmaMigration.Engine;

/// <summary>
/// Decides when a program that writes faster than the channel takes pages is slowed, as QEMU does: each second time that it has written more than a share of
/// what was sent. One thread uses it.
/// </summary>
/// <param name="threshold">The share of the sent bytes, in percent, above which the program writes too fast.</param>
/// <param name="initial">The first percentage.</param>
/// <param name="increment">What is added each further time.</param>
/// <param name="most">The highest percentage.</param>
internal sealed class AutoConverge(int threshold, int initial, int increment, int most)
{
    /// <summary>Passes that are shorter are judged together.</summary>
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(200);

    private TimeSpan _time;
    private long _dirtied;
    private long _sent;
    private int _highRates;

    /// <summary>By how much the program is slowed now.</summary>
    public int Percentage { get; private set; }

    /// <summary>A pass is done. True when the percentage has changed.</summary>
    /// <param name="dirtied">Bytes of pages that were written during the pass.</param>
    /// <param name="sent">Bytes that were sent.</param>
    /// <param name="time">From the begin of the pass to that of the next.</param>
    public bool OnPass(long dirtied, long sent, TimeSpan time)
    {
        _time += time;
        _dirtied += dirtied;
        _sent += sent;
        if (_time < s_period)
        {
            return false;
        }

        bool isHigh = _dirtied > _sent / 100.0 * threshold;
        (_time, _dirtied, _sent) = (TimeSpan.Zero, 0, 0);
        if (!isHigh || ++_highRates < 2)
        {
            return false;
        }

        _highRates = 0;
        int before = Percentage;
        Percentage = Math.Min(before == 0 ? initial : before + increment, most);
        return Percentage != before;
    }
}
