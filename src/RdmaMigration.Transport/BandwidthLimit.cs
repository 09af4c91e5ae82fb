using System.Diagnostics;

namespace RdmaMigration.Transport;

/// <summary>
/// Paces a sender to a rate. What is sent is paid for afterwards by a pause, so the rate holds whatever the size of a write. A sender that was slower for a
/// while may catch up for a tenth of a second, no more. One thread uses it.
/// </summary>
/// <param name="bytesPerSecond">At least 1.</param>
internal sealed class BandwidthLimit(long bytesPerSecond)
{
    private static readonly long s_catchUp = Stopwatch.Frequency / 10;

    private long _free = Stopwatch.GetTimestamp();

    /// <summary>The rate.</summary>
    public long BytesPerSecond { get; } = bytesPerSecond > 0
        ? bytesPerSecond
        : throw new ArgumentOutOfRangeException(nameof(bytesPerSecond), bytesPerSecond, "a bandwidth limit is at least 1 byte a second");

    /// <summary>The most bytes to send at once, so that the rate is even: 1/20 of a second's, at least a page and at most <paramref name="most"/>.</summary>
    public int Portion(int most) => (int)Math.Clamp(BytesPerSecond / 20, Math.Min(4096, most), most);

    /// <summary>How long to wait before the next write; zero when it may go at once.</summary>
    public TimeSpan Pause
    {
        get
        {
            long now = Stopwatch.GetTimestamp();
            return _free > now ? Stopwatch.GetElapsedTime(now, _free) : TimeSpan.Zero;
        }
    }

    /// <summary>Notes that so many bytes were sent.</summary>
    public void Sent(long bytes) =>
        _free = Math.Max(_free, Stopwatch.GetTimestamp() - s_catchUp) + (long)(bytes * (double)Stopwatch.Frequency / BytesPerSecond);
}
