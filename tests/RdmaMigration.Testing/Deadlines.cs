using System.Globalization;

namespace RdmaMigration.Testing;

/// <summary>
/// The time limits of the harness. RDMAMIG_TIME_FACTOR (default 1) stretches all of them for a slow machine; what a test
/// asserts is never scaled.
/// </summary>
public static class Deadlines
{
    private static readonly double s_factor = ReadFactor();

    /// <summary>A program says its first word: a monitor greeting, LISTENING.</summary>
    public static TimeSpan Start { get; } = Scale(30);

    /// <summary>A monitor command answers, a process ends after it was killed.</summary>
    public static TimeSpan Answer { get; } = Scale(20);

    /// <summary>A migration ends, one way or the other.</summary>
    public static TimeSpan Migration { get; } = Scale(120);

    public static TimeSpan Scale(double seconds) => TimeSpan.FromSeconds(seconds * s_factor);

    private static double ReadFactor()
    {
        string? text = Environment.GetEnvironmentVariable("RDMAMIG_TIME_FACTOR");
        if (string.IsNullOrEmpty(text))
        {
            return 1;
        }

        return double.TryParse(text, CultureInfo.InvariantCulture, out double factor) && factor > 0
            ? factor
            : throw new InvalidOperationException($"RDMAMIG_TIME_FACTOR is '{text}': want a number above 0, for example 2.5");
    }
}
