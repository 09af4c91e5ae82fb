namespace RdmaMigration.Engine;

/// <summary>Estimates how fast the channel takes pages, and from that how long the machine would have to stand still. One thread uses it.</summary>
internal sealed class Convergence
{
    /// <summary>QEMU measures over as long a time at least.</summary>
    private const double LeastSeconds = 0.1;

    /// <summary>The share of the limit that the rest of RAM may take. What remains is for the devices and for the start at the destination.</summary>
    private const double ForRam = 0.8;

    /// <summary>So many passes are sent to shorten a stop that would be short enough.</summary>
    private const int MostForShorter = 3;

    /// <summary>The most of the rest that such a pass may leave.</summary>
    private const double WorthIt = 0.8;

    private int _forShorter;
    private double _bytes;
    private double _seconds;

    /// <summary>How long sending the rest of RAM may take within a limit of the downtime.</summary>
    public static TimeSpan TimeForRam(TimeSpan limit) => limit * ForRam;

    /// <summary>Bytes a second; 0 before the first pass.</summary>
    public double Bandwidth => _seconds > 0 ? _bytes / _seconds : 0;

    /// <summary>A pass is done. The last 0.1 s count; of what lies before, half as much.</summary>
    public void OnPass(long bytes, TimeSpan time)
    {
        if (_seconds >= LeastSeconds)
        {
            _bytes *= LeastSeconds / 2 / _seconds;
            _seconds = LeastSeconds / 2;
        }

        _bytes += bytes;
        _seconds += time.TotalSeconds;
    }

    /// <summary>
    /// Whether to stop the machine. Once the rest can be sent within four fifths of the limit, up to three more passes are sent while each leaves a fifth less
    /// at least: a channel that slows down just then does not break the limit.
    /// </summary>
    /// <param name="expected">How long the rest takes.</param>
    /// <param name="collecting">How long it takes to find the written pages. They are collected once more when the machine is stopped.</param>
    /// <param name="limit">The longest stop.</param>
    /// <param name="dirtied">Bytes that the machine writes anew in a second.</param>
    public bool HasConverged(TimeSpan expected, TimeSpan collecting, TimeSpan limit, double dirtied)
    {
        if (expected > TimeForRam(limit) - collecting)
        {
            return false;
        }

        double next = dirtied * (expected + collecting).TotalSeconds;
        return expected <= limit / 4 || next > WorthIt * Bandwidth * expected.TotalSeconds || ++_forShorter > MostForShorter;
    }

    /// <summary>How long it takes to send so many bytes; the longest time there is when nothing is known.</summary>
    public TimeSpan TimeFor(long bytes)
    {
        double seconds = bytes == 0 ? 0 : bytes / Bandwidth;
        return seconds < TimeSpan.MaxValue.TotalSeconds ? TimeSpan.FromSeconds(seconds) : TimeSpan.MaxValue;
    }
}
