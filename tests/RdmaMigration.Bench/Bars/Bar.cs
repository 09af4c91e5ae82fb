namespace RdmaMigration.Bench.Bars;

/// <summary>A ratio that was promised, and the one that was measured.</summary>
/// <param name="What">What is divided by what.</param>
/// <param name="Ratio">As measured in this run.</param>
/// <param name="Bound">As promised.</param>
/// <param name="IsMost">Whether the bound is the most that it may be, else the least.</param>
internal sealed record Bar(string What, double Ratio, double Bound, bool IsMost = true)
{
    /// <summary>The exit code of a bar that does not hold; 1 is a measurement that failed.</summary>
    private const int Missed = 3;

    public bool Holds => IsMost ? Ratio <= Bound : Ratio >= Bound;

    /// <summary>Shows them and writes them with what they came from; the exit code.</summary>
    public static async Task<int> ReportAsync<T>(string title, IReadOnlyList<Bar> bars, T figures, FileInfo? json)
    {
        Report.Table(
            title,
            ["ratio of", "measured", "bound", "holds"],
            bars.Select(bar => new[]
            {
                bar.What, Report.Text($"{bar.Ratio:0.00}"), Report.Text($"{(bar.IsMost ? "≤" : "≥")} {bar.Bound:0.00}"), bar.Holds ? "yes" : "NO",
            }));
        await Report.WriteJsonAsync(json, new { bars, figures });
        return bars.All(bar => bar.Holds) ? 0 : Missed;
    }
}
