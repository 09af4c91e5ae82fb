using System.Text.Json;
using RdmaMigration.Bench.Faults;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Tests;

public sealed class FaultFiguresTests
{
    private const MigrationProgram Qemu = MigrationProgram.Qemu;
    private const MigrationProgram Rdmamig = MigrationProgram.Rdmamig;

    private static readonly FaultRow s_kept = Row(Cut(Rdmamig, Rdmamig), Failed(13.2), Failed(12.9));

    [Fact]
    public void Every_cell_is_there_once()
    {
        Assert.Equal(FaultCase.All.Count, FaultCase.All.Distinct().Count());
        Assert.All(
            Enum.GetValues<FaultKind>(),
            kind => Assert.Contains(FaultCase.All, cell => cell.Kind == kind && (cell.From, cell.To) == (Rdmamig, Rdmamig)));
        Assert.All(Enum.GetValues<FaultPhase>(), phase => Assert.Contains(FaultCase.All, cell => cell.Phase == phase));
        Assert.All(
            FaultCase.All.Where(cell => cell.Kind is FaultKind.HostKilled && cell.Phase is not FaultPhase.Ram),
            cell => Assert.True(cell.From == cell.To || Survivor(cell) is Rdmamig));
    }

    [Fact]
    public void A_row_in_time_keeps_the_promise()
    {
        Assert.Empty(s_kept.Broken);
        Assert.Empty(Row(Cut(Qemu, Qemu), new FaultReport(FaultEnd.Silent), new FaultReport(FaultEnd.Silent), FaultPlace.Nowhere).Broken);
        Assert.Empty(Row(Cut(Qemu, Rdmamig), new FaultReport(FaultEnd.Silent), Failed(12), FaultPlace.Nowhere).Broken);
    }

    [Fact]
    public void A_killed_host_reports_nothing()
    {
        FaultCase killed = new(FaultKind.HostKilled, FaultPhase.Ram, FaultSide.Source, Qemu, Rdmamig);

        Assert.Empty(Row(killed, FaultReport.Nothing, Failed(13), FaultPlace.Nowhere).Broken);
        Assert.Single(Row(killed with { Side = FaultSide.Destination }, Failed(13), Failed(13), FaultPlace.Nowhere).Broken);
    }

    [Fact]
    public void A_destination_that_has_everything_may_complete_without_its_source()
    {
        FaultCase result = new(FaultKind.Unplugged, FaultPhase.Result, FaultSide.Destination, Rdmamig, Rdmamig);
        FaultReport completed = new(FaultEnd.Completed, 0.5);

        Assert.Empty(Row(result, Failed(13) with { IsUnconfirmed = true }, completed, FaultPlace.Destination).Broken);
        Assert.Single(Row(result with { Phase = FaultPhase.Device }, Failed(13), completed, FaultPlace.Destination).Broken);
        Assert.Single(Row(result, Failed(13), completed, FaultPlace.Both).Broken);
    }

    [Fact]
    public void Each_broken_promise_is_found()
    {
        Assert.Single(Row(s_kept.Case, Failed(34.1), Failed(12)).Broken);
        Assert.Single(Row(s_kept.Case, Failed(1), new FaultReport(FaultEnd.Silent)).Broken);
        Assert.Single(Row(s_kept.Case, Failed(1), FaultReport.Nothing).Broken);
        Assert.Single(Row(s_kept.Case, Failed(1), new FaultReport(FaultEnd.Completed, 1)).Broken);
        Assert.Single(Row(s_kept.Case, Failed(1), Failed(1), FaultPlace.Both).Broken);
        Assert.Single(Row(s_kept.Case, Failed(1), Failed(1), FaultPlace.Nowhere).Broken);
        Assert.Single((s_kept with { NextWorks = false }).Broken);
        Assert.Single((s_kept with { IsIdentical = false }).Broken);
    }

    [Fact]
    public void What_a_program_reads_from_the_file_is_what_was_written()
    {
        FaultFigures written = Figures(s_kept);

        FaultFigures read = JsonSerializer.Deserialize<FaultFigures>(JsonSerializer.Serialize(written, Report.Layout), Report.Layout)!;

        Assert.Equal(written.Rows, read.Rows);
        Assert.Equal(written.Host, read.Host);
        Assert.Contains("\"kind\": \"relay-killed\"", JsonSerializer.Serialize(written, Report.Layout), StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_has_a_line_for_each_fault_and_a_column_for_each_pair()
    {
        string[] lines = FaultMarkdown.Write(Figures(
            s_kept, Row(Cut(Qemu, Rdmamig), Failed(50), new FaultReport(FaultEnd.Silent), FaultPlace.Source))).Split('\n');

        Assert.Contains("| fault | during | at | rdmamig → rdmamig | rdmamig → QEMU | QEMU → rdmamig | QEMU → QEMU |", lines);
        Assert.Contains("| relay killed | ram | between | failed 13.2 / failed 12.9; source |  | **broken** failed 50.0 / *silent*; source |  |", lines);
    }

    private static MigrationProgram Survivor(FaultCase cell) => cell.Side is FaultSide.Source ? cell.To : cell.From;

    private static FaultCase Cut(MigrationProgram from, MigrationProgram to) => new(FaultKind.RelayKilled, FaultPhase.Ram, FaultSide.Between, from, to);

    private static FaultReport Failed(double seconds) => new(FaultEnd.Failed, seconds, "Unreachable", "gone");

    private static FaultRow Row(FaultCase fault, FaultReport source, FaultReport destination, FaultPlace place = FaultPlace.Source) =>
        new(fault, fault.Promised.TotalSeconds, source, destination, place, NextWorks: true, IsIdentical: true, null, null);

    private static FaultFigures Figures(params FaultRow[] rows) => new(DateTimeOffset.UnixEpoch, Samples.Matrix.Host, 60, rows, []);
}
