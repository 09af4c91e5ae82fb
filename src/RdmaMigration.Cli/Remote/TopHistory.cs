using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Remote;

/// <summary>The samples of one migration: its phases, and its rates over time. A new migration begins a new history.</summary>
internal sealed class TopHistory
{
    /// <summary>Rates that are kept, for the sparklines.</summary>
    public const int MaximumRates = 60;

    private readonly RateMeter _meter = new();
    private readonly Queue<double> _rates = new();
    private readonly Queue<double> _dirtyRates = new();
    private readonly List<(string Status, TimeSpan From)> _phases = [];
    private RamQuery? _ram;

    /// <summary>The last sample; null before the first.</summary>
    public TopSample? Latest { get; private set; }

    /// <summary>The last figures of RAM of this migration: a failed or cancelled one reports none. Null for none.</summary>
    public RamQuery? Ram => _ram;

    /// <summary>Bytes a second, over the last seconds; QEMU's own figure after one sample.</summary>
    public double Rate { get; private set; }

    /// <summary>The rates of the samples, the latest last.</summary>
    public IEnumerable<double> Rates => _rates;

    /// <summary>Pages a second that the machine dirties, the latest last.</summary>
    public IEnumerable<double> DirtyRates => _dirtyRates;

    /// <summary>The statuses that were seen, and how long each lasted so far, by this host's clock.</summary>
    public IEnumerable<(string Status, TimeSpan Time)> Phases => _phases.Select((phase, i) =>
        (phase.Status, (i + 1 < _phases.Count ? _phases[i + 1].From : Latest!.At) - phase.From));

    /// <summary>Takes a sample.</summary>
    public void Add(TopSample sample)
    {
        if (Latest is { } before && IsNew(before, sample))
        {
            Clear();
        }

        if (_phases.Count == 0 || _phases[^1].Status != sample.Status)
        {
            _phases.Add((sample.Status, sample.At));
        }

        bool isOver = sample.Migration.KnownStatus.IsFinal();
        if (sample.Migration.Ram is { } ram)
        {
            double rate = _meter.Add(sample.At, ram.Transferred);
            bool isFirst = _ram is null;
            _ram = ram;
            if (isFirst || isOver)
            {
                Rate = ram.BytesPerSecond;
            }
            else
            {
                Rate = rate;
            }

            if (!isOver)
            {
                Keep(_rates, Rate);
                Keep(_dirtyRates, ram.DirtyPagesRate);
            }
        }

        Latest = sample;
    }

    private static void Keep(Queue<double> rates, double rate)
    {
        rates.Enqueue(rate);
        if (rates.Count > MaximumRates)
        {
            rates.Dequeue();
        }
    }

    /// <summary>One ended, or none was, and there is one; or the time went back between two samples.</summary>
    private static bool IsNew(TopSample before, TopSample now) =>
        ((before.Migration.KnownStatus is MigrationStatus.None || before.Migration.KnownStatus.IsFinal())
            && now.Migration.KnownStatus is not MigrationStatus.None && !now.Migration.KnownStatus.IsFinal())
        || now.Migration.TotalTime < before.Migration.TotalTime;

    private void Clear()
    {
        _meter.Restart();
        _rates.Clear();
        _dirtyRates.Clear();
        _phases.Clear();
        _ram = null;
        Rate = 0;
    }
}
