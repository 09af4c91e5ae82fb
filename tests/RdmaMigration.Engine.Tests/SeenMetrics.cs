using System.Diagnostics.Metrics;

namespace RdmaMigration.Engine.Tests;

/// <summary>Names and tags of everything that a meter measures while this lives.</summary>
internal sealed class SeenMetrics : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly HashSet<string> _seen = [];

    public SeenMetrics(string meter)
    {
        _listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == meter)
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) => Add(instrument, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Add(instrument, tags));
        _listener.Start();
    }

    /// <summary>All of these were measured.</summary>
    public void AssertHas(params string[] metrics)
    {
        lock (_seen)
        {
            Assert.Superset(metrics.ToHashSet(), _seen);
        }
    }

    public void Dispose() => _listener.Dispose();

    private void Add(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string text = string.Join(' ', [instrument.Name, .. tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}")]);
        lock (_seen)
        {
            _seen.Add(text);
        }
    }
}
