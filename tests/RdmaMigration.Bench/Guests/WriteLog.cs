namespace RdmaMigration.Bench.Guests;

/// <summary>How many bytes a guest had written at known moments. One writer, any number of readers.</summary>
internal sealed class WriteLog
{
    private const double MiB = 1 << 20;
    private readonly List<(DateTimeOffset At, long Bytes)> _samples = [];

    /// <summary>Adds a moment, later than all before.</summary>
    public void Add(DateTimeOffset at, long bytes)
    {
        lock (_samples)
        {
            _samples.Add((at, bytes));
        }
    }

    /// <summary>The first moment at or after this one; null if there is none.</summary>
    public DateTimeOffset? FirstAt(DateTimeOffset from)
    {
        lock (_samples)
        {
            int found = _samples.FindIndex(sample => sample.At >= from);
            return found < 0 ? null : _samples[found].At;
        }
    }

    /// <summary>The last moment at or before this one; null if there is none.</summary>
    public DateTimeOffset? LastAt(DateTimeOffset to)
    {
        lock (_samples)
        {
            int found = _samples.FindLastIndex(sample => sample.At <= to);
            return found < 0 ? null : _samples[found].At;
        }
    }

    /// <summary>MiB/s between two moments, interpolated between samples; null if the log does not reach into that time.</summary>
    public double? RateBetween(DateTimeOffset from, DateTimeOffset to)
    {
        lock (_samples)
        {
            if (_samples.Count == 0 || to <= from || _samples[0].At >= to || _samples[^1].At <= from)
            {
                return null;
            }

            DateTimeOffset begin = from < _samples[0].At ? _samples[0].At : from;
            return (BytesAt(to) - BytesAt(begin)) / (to - begin).TotalSeconds / MiB;
        }
    }

    private double BytesAt(DateTimeOffset at)
    {
        int next = _samples.FindIndex(sample => sample.At >= at);
        if (next <= 0)
        {
            return next < 0 ? _samples[^1].Bytes : _samples[0].Bytes;
        }

        (DateTimeOffset leftAt, long left) = _samples[next - 1];
        (DateTimeOffset rightAt, long right) = _samples[next];
        return left + ((right - left) * ((at - leftAt) / (rightAt - leftAt)));
    }
}
