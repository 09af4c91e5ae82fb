using System.Text.Json;
using System.Text.Json.Serialization;

namespace RdmaMigration.Bench.Matrix;

/// <summary>Everything that one run of the matrix found: what its JSON file holds, and what tables and plots are made of.</summary>
/// <param name="Started">When the run began, UTC.</param>
/// <param name="Host">What it ran on and with.</param>
/// <param name="MachineType">QEMU's -M.</param>
/// <param name="Repeats">How often each migration was measured.</param>
/// <param name="References">perftest, before the first migration, between workloads, and after the last; empty without an RDMA device.</param>
/// <param name="Registrations">What it costs to register memory here; empty without an RDMA device.</param>
/// <param name="Passages">Every migration, in the order of measuring.</param>
internal sealed record MatrixFigures(
    DateTimeOffset Started,
    MeasuredHost Host,
    string MachineType,
    int Repeats,
    IReadOnlyList<Reference> References,
    IReadOnlyList<RegistrationCost> Registrations,
    IReadOnlyList<Passage> Passages)
{
    [JsonIgnore]
    public IReadOnlyList<Workload> Workloads => [.. Passages.Select(p => p.Workload).Distinct()];

    [JsonIgnore]
    public IReadOnlyList<Route> Routes => [.. Route.All.Where(route => Passages.Any(p => p.Route == route))];

    [JsonIgnore]
    public IReadOnlyList<Mode> Modes => [.. Enum.GetValues<Mode>().Where(mode => Passages.Any(p => p.Mode == mode))];

    /// <summary>MiB/s of ib_write_bw: the median of the run; null without a device.</summary>
    [JsonIgnore]
    public double? WriteBandwidth => References.Count == 0 ? null : Statistic.Of(References.Select(r => r.WriteBandwidth)).Median;

    /// <summary>The repeats of one cell as one; null if it was not measured.</summary>
    public Cell? Find(Route route, Mode mode, Workload workload)
    {
        Passage[] repeats = [.. Passages.Where(p => p.Route == route && p.Mode == mode && p.Workload == workload)];
        return repeats.Length == 0 ? null : new Cell(repeats);
    }

    public async Task WriteAsync(string path)
    {
        await using FileStream file = File.Create(path);
        await JsonSerializer.SerializeAsync(file, this, Report.Layout);
    }

    /// <exception cref="InvalidDataException">The file is not what <see cref="WriteAsync"/> wrote.</exception>
    public static async Task<MatrixFigures> ReadAsync(string path)
    {
        await using FileStream file = File.OpenRead(path);
        try
        {
            return await JsonSerializer.DeserializeAsync<MatrixFigures>(file, Report.Layout) ?? throw new InvalidDataException($"{path} is empty");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} has no figures of `rdmamig-bench matrix`: {e.Message}", e);
        }
    }
}

/// <summary>perftest's figures at one moment.</summary>
/// <param name="WriteBandwidth">ib_write_bw with 1 MiB messages, MiB/s.</param>
/// <param name="SendLatency">ib_send_lat with 16 bytes, polling, half a round trip in µs.</param>
/// <param name="SendLatencyEvents">The same, sleeping until a completion event.</param>
internal sealed record Reference(double WriteBandwidth, double SendLatency, double SendLatencyEvents);

/// <summary>What registering memory costs, by the size of a region.</summary>
/// <param name="RegionBytes">The length of a region.</param>
/// <param name="RegisterMilliseconds">To register one GiB in regions of that size.</param>
/// <param name="DeregisterMilliseconds">To deregister it again.</param>
internal sealed record RegistrationCost(long RegionBytes, double RegisterMilliseconds, double DeregisterMilliseconds);

/// <summary>One cell of the matrix: the repeats of one migration.</summary>
internal sealed class Cell(IReadOnlyList<Passage> repeats)
{
    public Statistic TotalMilliseconds { get; } = Statistic.Of(repeats.Select(p => p.TotalMilliseconds));

    /// <summary>MiB/s of memory that is not zero.</summary>
    public Statistic Rate { get; } = Statistic.Of(repeats.Select(p => p.Rate));

    /// <summary>CPU seconds per GiB of the machine's RAM: medians of user and of system time.</summary>
    public ProcessorTime SenderPerGibibyte { get; } = PerGibibyte(repeats, p => p.Sender);

    /// <summary>The same of the receiving side.</summary>
    public ProcessorTime ReceiverPerGibibyte { get; } = PerGibibyte(repeats, p => p.Receiver);

    private static ProcessorTime PerGibibyte(IReadOnlyList<Passage> repeats, Func<Passage, ProcessorTime> side) => new(
        Statistic.Of(repeats.Select(p => side(p).User / p.Gibibytes)).Median,
        Statistic.Of(repeats.Select(p => side(p).System / p.Gibibytes)).Median);
}
