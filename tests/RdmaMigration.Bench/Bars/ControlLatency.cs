using System.CommandLine;
using System.Diagnostics;
using RdmaMigration.Engine;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Bench.Bars;

/// <summary>
/// Control messages of 16 bytes to and fro between two connections, each on a thread of its own: parked until an event wakes it, spinning throughout, and by
/// default, which spins a little and then parks. Beside ib_send_lat with the same size, with events and polling.
/// </summary>
internal static class ControlLatency
{
    private const int WarmUp = 100;
    private const int RoundTrips = 1000;
    private const double EventBound = 1.5;
    private const double SpinBound = 1.2;

    public static Command Create()
    {
        Option<int> rounds = new("--repeats") { Description = "How often each is measured, interleaved", DefaultValueFactory = _ => 5 };
        Option<FileInfo?> json = new("--json") { Description = "Also write the figures to this file" };
        Command command = new(
            "control-latency",
            "a control message's round trip beside ib_send_lat of the same size: at most 1.5 times with events, 1.2 times spinning. Exit code 3 if not.")
        {
            rounds, json,
        };
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(rounds), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(int rounds, FileInfo? json)
    {
        Contestant[] contestants =
        [
            new("ib_send_lat -e", () => Perftest.SendLatencyAsync(ControlHeader.Size, events: true)),
            new("control message, with events", () => Task.FromResult(PingPong(TimeSpan.Zero))),
            new("ib_send_lat", () => Perftest.SendLatencyAsync(ControlHeader.Size, events: false)),
            new("control message, spinning", () => Task.FromResult(PingPong(Timeout.InfiniteTimeSpan))),
            new("control message, by default", () => Task.FromResult(PingPong(MigrationParameters.SpinTime.Default))),
        ];
        Progress progress = new(rounds * contestants.Length);
        for (int round = 0; round < rounds; round++)
        {
            foreach (Contestant contestant in Interleaving.Turn(contestants, round))
            {
                contestant.Microseconds.Add(await progress.StepAsync(contestant.Name, contestant.Measure, us => Report.Text($"{us:0.0} µs")));
            }
        }

        Report.Table(
            Report.Text($"half a round trip of {ControlHeader.Size} bytes, medians of {rounds}"),
            ["", "µs"],
            contestants.Select(c => new[] { c.Name, Statistic.Of(c.Microseconds).ToText("0.0") }));
        return await Bar.ReportAsync(
            "",
            [
                new Bar("control message / ib_send_lat, with events", contestants[1].Median / contestants[0].Median, EventBound),
                new Bar("control message / ib_send_lat, spinning", contestants[3].Median / contestants[2].Median, SpinBound),
            ],
            contestants.Select(c => new { c.Name, c.Microseconds }),
            json);
    }

    /// <summary>The median of half a round trip, in µs, as ib_send_lat counts.</summary>
    private static double PingPong(TimeSpan spinTime)
    {
        using ConnectedPair pair = new(spinTime);
        Thread echo = new(() => Echo(pair.Passive)) { Name = "echo" };
        echo.Start();
        double[] microseconds = new double[RoundTrips];
        for (int i = -WarmUp; i < RoundTrips; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            Send(pair.Active);
            pair.Active.Control.Receive(Timeout.InfiniteTimeSpan);
            if (i >= 0)
            {
                microseconds[i] = Stopwatch.GetElapsedTime(begin).TotalMicroseconds / 2;
            }
        }

        echo.Join();
        return Median.Of(microseconds);
    }

    private static void Echo(RdmaConnection link)
    {
        for (int i = 0; i < WarmUp + RoundTrips; i++)
        {
            link.Control.Receive(Timeout.InfiniteTimeSpan);
            Send(link);
        }
    }

    private static void Send(RdmaConnection link) => link.Control.Send(new ControlHeader(0, ControlMessageType.Ready, 1), []);

    private sealed record Contestant(string Name, Func<Task<double>> Measure)
    {
        public List<double> Microseconds { get; } = [];

        public double Median => Statistic.Of(Microseconds).Median;
    }
}
