namespace RdmaMigration.Cli.Remote;

/// <summary>Values as one line of bars, from zero to the largest.</summary>
internal static class Sparkline
{
    private const string Bars = "▁▂▃▄▅▆▇█";

    /// <summary>A bar for each of the last values.</summary>
    /// <param name="values">Zero or more, the latest last.</param>
    /// <param name="width">How many are shown.</param>
    public static string Of(IEnumerable<double> values, int width)
    {
        double[] shown = [.. values.TakeLast(width)];
        double most = shown.DefaultIfEmpty().Max();
        return string.Concat(shown.Select(value => Bars[most > 0 ? (int)Math.Round(Math.Clamp(value / most, 0, 1) * (Bars.Length - 1)) : 0]));
    }
}
