using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Reports what a process answers at moments of a script, and which events came between them.</summary>
/// <param name="monitor">The process's.</param>
internal sealed class QmpMoments(QmpClient monitor)
{
    private readonly List<Range> _reports = [];

    /// <summary>The run state, the status, the names of all members, and the answers to further commands, which may cause events of their own.</summary>
    /// <param name="further">Commands beside those that are sent at every moment.</param>
    public async Task<string> ReportAsync(params (string Command, string Arguments)[] further)
    {
        JsonElement migration = await monitor.ExecuteAsync("query-migrate");
        JsonElement run = await monitor.ExecuteAsync("query-status");
        int before = monitor.Events.Count;
        string answers = await QmpAnswers.AtAsync(monitor, further);
        _reports.Add(before..monitor.Events.Count);
        return $"{run.GetProperty("status")} {run.GetProperty("running")} {await QmpMove.StatusAsync(monitor)} {Members(run)} {Members(migration)}{answers}";
    }

    /// <summary>The events between the reports.</summary>
    public string Events()
    {
        QmpEvent[] all = monitor.Events.Snapshot();
        IEnumerable<QmpEvent> between = all.Where((said, i) =>
            said.Name != "MIGRATION_PASS" && !_reports.Any(report => i >= report.Start.Value && i < report.End.Value));

        // When a cancel or a failure comes in pre-switchover, device is sometimes reported first.
        return string.Join(' ', between.Select(said => said.Status ?? said.Name))
            .Replace("device cancelling", "cancelling", StringComparison.Ordinal)
            .Replace("device failed", "failed", StringComparison.Ordinal)
            .Replace("device failing", "failing", StringComparison.Ordinal);
    }

    private static string Members(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(
            ',', value.EnumerateObject().Select(member => member.Name + Members(member.Value)).Order(StringComparer.Ordinal)) + "}",
        JsonValueKind.Array => "[" + string.Join(',', value.EnumerateArray().Select(Members)) + "]",
        _ => "",
    };
}
