using System.Globalization;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>What perftest finds on this host's first RDMA device, from itself to itself.</summary>
internal static partial class Perftest
{
    private const int Writes = 300;
    private const int Sends = 1000;

    /// <summary>
    /// On a busy machine perftest at times cannot calibrate the processor's clock and prints inf for every time, or misses an event and waits for ever.
    /// </summary>
    private const int Attempts = 5;

    /// <summary>Several times what either program takes in a soft-RoCE guest without KVM.</summary>
    private static readonly TimeSpan s_deadline = Deadlines.Scale(40);

    /// <summary>MiB/s of RDMA writes of 1 MiB: ib_write_bw.</summary>
    public static Task<double> WriteBandwidthAsync() =>
        MeasureAsync(BandwidthLine(), "ib_write_bw", "-s", "1048576", "-n", Writes.ToString(CultureInfo.InvariantCulture));

    /// <summary>Microseconds of half a round trip of two-sided sends, as ib_send_lat prints it: the typical one.</summary>
    /// <param name="bytes">The length of a message.</param>
    /// <param name="events">Sleep until a completion event, instead of polling.</param>
    public static Task<double> SendLatencyAsync(int bytes, bool events)
    {
        string[] options = ["-s", bytes.ToString(CultureInfo.InvariantCulture), "-n", Sends.ToString(CultureInfo.InvariantCulture)];
        return MeasureAsync(LatencyLine(), "ib_send_lat", events ? [.. options, "-e"] : options);
    }

    private static async Task<double> MeasureAsync(Regex line, string program, params string[] options)
    {
        string output = "";
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            output = await RunAsync(program, options) ?? $"nothing within {s_deadline.TotalSeconds:0} s";
            Match figures = line.Match(output);
            if (figures.Success && double.Parse(figures.Groups["figure"].Value, CultureInfo.InvariantCulture) is > 0 and var figure)
            {
                return figure;
            }
        }

        throw new InvalidOperationException($"{program} printed no figures, {Attempts} times: {output}");
    }

    /// <summary>What the client prints; null when it does not end.</summary>
    private static async Task<string?> RunAsync(string name, string[] options)
    {
        string program = Executables.OnPath(name, "perftest");
        string[] arguments = ["-F", "-p", RdmaAddress.NextPort().ToString(CultureInfo.InvariantCulture), .. options];
        EventLog<string> lines = new();
        await using ChildProcess server =
            ChildProcess.Start(name, Executables.OnPath("stdbuf", "coreutils"), ["-oL", program, .. arguments], lines.Add);
        await lines.FirstAsync(l => l.Contains("Waiting for client", StringComparison.Ordinal), 0, Deadlines.Start, $"a waiting {name}");
        EventLog<string> output = new();
        await using ChildProcess client = ChildProcess.Start(name, program, [.. arguments, RdmaAddress.V4.ToString()], output.Add);
        try
        {
            int exitCode = await client.WaitForExitAsync(s_deadline);
            return exitCode == 0
                ? string.Join('\n', output.Snapshot())
                : throw new InvalidOperationException($"{name} ended with {exitCode}: {string.Join('\n', output.Snapshot())}{client.Errors}");
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    // #bytes #iterations peak average message-rate
    [GeneratedRegex(@"^\s*1048576\s+\d+\s+\S+\s+(?<figure>[\d.]+)\s", RegexOptions.Multiline)]
    private static partial Regex BandwidthLine();

    // #bytes #iterations t_min t_max t_typical t_avg t_stdev 99% 99.9%
    [GeneratedRegex(@"^\s*\d+\s+\d+\s+[\d.]+\s+[\d.]+\s+(?<figure>[\d.]+)\s+[\d.]+\s", RegexOptions.Multiline)]
    private static partial Regex LatencyLine();
}
