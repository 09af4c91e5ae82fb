using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace RdmaMigration.Transport;

/// <summary>What the RDMA channels measure, for whoever listens to the meter "RdmaMigration.Transport". No exporter belongs to it. Any thread.</summary>
internal static class TransportMetrics
{
    private static readonly Meter s_meter = new("RdmaMigration.Transport");
    private static readonly Histogram<double> s_registration = s_meter.CreateHistogram<double>(
        "rdmamig_registration_seconds", "s", "What it took to register a piece of RAM, by side.");
    private static readonly Counter<long> s_registered = s_meter.CreateCounter<long>(
        "rdmamig_registered_bytes", "By", "Bytes of RAM that were registered, by side.");
    private static readonly Histogram<long> s_completions = s_meter.CreateHistogram<long>(
        "rdmamig_completions_per_wake", description: "Completions of writes and sends that were found at a time.");
    private static readonly Counter<long> s_wakes = s_meter.CreateCounter<long>(
        "rdmamig_waiter_wakes", description: "How often the thread rdma/wait woke up.");

    private static readonly KeyValuePair<string, object?> s_source = new("side", "source");
    private static readonly KeyValuePair<string, object?> s_destination = new("side", "destination");

    /// <summary>RAM was registered.</summary>
    /// <param name="isSource">At the source.</param>
    /// <param name="bytes">How much.</param>
    /// <param name="began">The time stamp before.</param>
    public static void OnRegistered(bool isSource, ulong bytes, long began)
    {
        KeyValuePair<string, object?> side = isSource ? s_source : s_destination;
        s_registration.Record(Stopwatch.GetElapsedTime(began).TotalSeconds, side);
        s_registered.Add((long)bytes, side);
    }

    /// <summary>Completions were taken from a send queue, at least one.</summary>
    public static void OnCompletions(long count) => s_completions.Record(count);

    /// <summary>The completion waiter woke up.</summary>
    public static void OnWake() => s_wakes.Add(1);
}
