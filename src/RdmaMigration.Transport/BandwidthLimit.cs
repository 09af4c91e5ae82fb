using System.Diagnostics;

namespace RdmaMigration.Transport;

/// <summary>
/// Paces a sender to a rate. What is sent is paid for afterwards by a pause, so the rate holds whatever the size of a write. A sender that was slower for a
/// while may catch up for a tenth of a second, no more. One thread sends; before each write it asks for <see cref="Pause"/>, which takes over a new rate.
/// </summary>
internal sealed class BandwidthLimit
{
    private const long None = 0;

    private static readonly long s_catchUp = Stopwatch.Frequency / 10;

    private long _asked;
    private long _rate;
    private long _free = Stopwatch.GetTimestamp();

    /// <param name="bytesPerSecond">The rate: at least 1; null for no limit.</param>
    public BandwidthLimit(long? bytesPerSecond)
    {
        BytesPerSecond = bytesPerSecond;
        _rate = _asked;
    }

    /// <summary>The rate: at least 1; null for no limit. Any thread, also while the sender sends.</summary>
    public long? BytesPerSecond
    {
        get => Volatile.Read(ref _asked) is not None and long rate ? rate : null;
        set => Volatile.Write(ref _asked, value switch
        {
            null => None,
            > 0 and long rate => rate,
            _ => throw new ArgumentOutOfRangeException(nameof(value), value, "a bandwidth limit is at least 1 byte a second"),
        });
    }

    /// <summary>The most bytes to send at once, so that the rate is even: 1/20 of a second's, at least a page and at most <paramref name="most"/>.</summary>
    public int Portion(int most) => _rate == None ? most : (int)Math.Clamp(_rate / 20, Math.Min(4096, most), most);

    /// <summary>How long to wait before the next write; zero when it may go at once.</summary>
    public TimeSpan Pause
    {
        get
        {
            _rate = Volatile.Read(ref _asked);
            if (_rate == None)
            {
                return TimeSpan.Zero;
            }

            long now = Stopwatch.GetTimestamp();
            return _free > now ? Stopwatch.GetElapsedTime(now, _free) : TimeSpan.Zero;
        }
    }

    /// <summary>Notes that so many bytes were sent.</summary>
    public void Sent(long bytes)
    {
        if (_rate != None)
        {
            _free = Math.Max(_free, Stopwatch.GetTimestamp() - s_catchUp) + (long)(bytes * (double)Stopwatch.Frequency / _rate);
        }
    }
}
