namespace RdmaMigration.Cli.Reports;

/// <summary>Bytes a second over the last few seconds, so that a stall shows soon and a burst does not.</summary>
internal sealed class RateMeter
{
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(5);

    private readonly Queue<(TimeSpan At, long Bytes)> _samples = new();
    private (TimeSpan At, long Bytes) _latest;

    /// <summary>Forgets everything: what is counted is another thing now.</summary>
    public void Restart() => _samples.Clear();

    /// <summary>Takes the count at a time; a count that went back starts the meter anew.</summary>
    /// <returns>The rate; 0 after one sample.</returns>
    public double Add(TimeSpan at, long bytes)
    {
        if (bytes < _latest.Bytes || at < _latest.At)
        {
            Restart();
        }

        // One sample older than the window stays: the rate spans at least the window.
        while (_samples.Count > 1 && at - _samples.ElementAt(1).At >= s_window)
        {
            _samples.Dequeue();
        }

        _latest = (at, bytes);
        _samples.Enqueue(_latest);
        (TimeSpan At, long Bytes) first = _samples.Peek();
        return at > first.At ? (bytes - first.Bytes) / (at - first.At).TotalSeconds : 0;
    }
}
