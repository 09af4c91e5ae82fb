using System.Text;

namespace RdmaMigration.Bench.Matrix;

/// <summary>The matrix as Markdown: one table a workload.</summary>
internal static class MatrixMarkdown
{
    public static string Write(MatrixFigures figures)
    {
        StringBuilder text = new();
        text.Append(Report.Text($"{figures.Host}. {figures.MachineType} machine, "))
            .Append(figures.Repeats == 1 ? "one run a cell.\n" : Report.Text($"medians of {figures.Repeats} interleaved runs (least–most).\n"));
        if (figures.References.Count > 0)
        {
            text.Append('\n').Append(References(figures.References)).Append('\n');
        }

        foreach (Workload workload in figures.Workloads)
        {
            text.Append(Report.Text($"\n### {workload}\n\n"));
            Table(text, figures, workload);
        }

        if (figures.Registrations.Count > 0)
        {
            text.Append("\n### Registration\n\n| region | register | deregister |\n|---:|---:|---:|\n");
            foreach (RegistrationCost cost in figures.Registrations)
            {
                text.Append(Report.Text(
                    $"| {Words.OfBytes(cost.RegionBytes)} | {cost.RegisterMilliseconds:0.0} ms/GiB | {cost.DeregisterMilliseconds:0.0} ms/GiB |\n"));
            }
        }

        return text.ToString();
    }

    private static string References(IReadOnlyList<Reference> references) =>
        $"`ib_write_bw`, 1 MiB: {Statistic.Of(references.Select(r => r.WriteBandwidth)).ToText("0")} MiB/s. "
        + $"`ib_send_lat`, 16 bytes, half a round trip: {Statistic.Of(references.Select(r => r.SendLatency)).ToText("0")} µs polling, "
        + $"{Statistic.Of(references.Select(r => r.SendLatencyEvents)).ToText("0")} µs with events.";

    private static void Table(StringBuilder text, MatrixFigures figures, Workload workload)
    {
        text.Append("| route | mode | total, ms | MiB/s | of ib_write_bw | sender CPU, s/GiB: user + system | receiver CPU, s/GiB: user + system |\n");
        text.Append("|---|---|---:|---:|---:|---:|---:|\n");
        foreach (Mode mode in figures.Modes)
        {
            foreach (Route route in figures.Routes)
            {
                if (figures.Find(route, mode, workload) is { } cell)
                {
                    string ratio = figures.WriteBandwidth is { } bandwidth && mode != Mode.Tcp ? Report.Text($"{cell.Rate.Median / bandwidth:0.00}") : "";
                    text.Append(Report.Text($"| {route} | {Words.Of(mode)} | {cell.TotalMilliseconds.ToText("0")} | {cell.Rate.ToText("0.0")} | {ratio} "))
                        .Append(Report.Text($"| {Cpu(cell.SenderPerGibibyte)} | {Cpu(cell.ReceiverPerGibibyte)} |\n"));
                }
            }
        }
    }

    private static string Cpu(ProcessorTime time) => Report.Text($"{time.User:0.00} + {time.System:0.00}");
}
