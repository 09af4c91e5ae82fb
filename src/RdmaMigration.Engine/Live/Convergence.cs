namespace RdmaMigration.Engine;

/// <summary>Estimates how fast the channel takes pages, and from that how long the machine would have to stand still. One thread uses it.</summary>
internal sealed class Convergence
{
    /// <summary>QEMU measures over as long a time at least.</summary>
    private const double LeastSeconds = 0.1;

    private double _bytes;
    private double _seconds;

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

    /// <summary>How long it takes to send so many bytes; the longest time there is when nothing is known.</summary>
    public TimeSpan TimeFor(long bytes)
    {
        double seconds = bytes == 0 ? 0 : bytes / Bandwidth;
        return seconds < TimeSpan.MaxValue.TotalSeconds ? TimeSpan.FromSeconds(seconds) : TimeSpan.MaxValue;
    }
}
