using System.Text;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Faults;

/// <summary>The matrix of faults as Markdown: a line for each fault, moment and side, a column for each pair of programs.</summary>
internal static class FaultMarkdown
{
    public static string Write(FaultFigures figures)
    {
        string[] pairs = [.. FaultCase.All.Select(cell => cell.Programs).Distinct().Order(StringComparer.Ordinal).Reverse()];
        StringBuilder text = new();
        text.Append(Report.Text($"{figures.Host}.\n\n"))
            .Append("Each cell: what the source / the destination reported, and after how many seconds; where the machine was then. ")
            .Append(Report.Text($"*silent*: nothing within {figures.PatienceSeconds:0} s. —: nothing to report. "))
            .Append("*unconfirmed*: the source says to check the destination before the machine is started elsewhere.\n\n")
            .Append(Report.Text($"| fault | during | at | {string.Join(" | ", pairs)} |\n"))
            .Append(Report.Text($"|---|---|---|{string.Concat(pairs.Select(_ => "---|"))}\n"));
        foreach (IGrouping<(FaultKind Kind, FaultPhase Phase, FaultSide Side), FaultRow> line in
            figures.Rows.GroupBy(row => (row.Case.Kind, row.Case.Phase, row.Case.Side)))
        {
            text.Append(Report.Text($"| {Word(line.Key.Kind)} | {Word(line.Key.Phase)} | {Word(line.Key.Side)} "));
            foreach (string pair in pairs)
            {
                FaultRow? found = line.FirstOrDefault(row => row.Case.Programs == pair);
                text.Append(Report.Text($"| {(found is null ? "" : Cell(found))} "));
            }

            text.Append("|\n");
        }

        foreach (string wrong in figures.Rows.SelectMany(row => row.Broken.Select(broken => $"{row.Case}: {broken}")).Concat(figures.Failures))
        {
            text.Append("\n* ").Append(wrong.ReplaceLineEndings(" "));
        }

        return text.Append('\n').ToString();
    }

    private static string Cell(FaultRow row) =>
        $"{(row.Broken.Count > 0 ? "**broken** " : "")}{Side(row.Source)} / {Side(row.Destination)}; {Word(row.Place)}"
        + $"{(row.NextWorks ? "" : "; next fails")}{(row.IsIdentical is false ? "; memory differs" : "")}";

    private static string Side(FaultReport report) => report.End switch
    {
        FaultEnd.Completed => Report.Text($"done {report.Seconds:0.0}"),
        FaultEnd.Failed => Report.Text($"failed {report.Seconds:0.0}{(report.IsUnconfirmed ? " unconfirmed" : "")}"),
        FaultEnd.Silent => "*silent*",
        _ => "—",
    };

    private static string Word<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString()).Replace('-', ' ');
}
