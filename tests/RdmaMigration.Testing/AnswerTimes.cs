using System.Globalization;

namespace RdmaMigration.Testing;

/// <summary>How long answers took.</summary>
public sealed class AnswerTimes
{
    private readonly TimeSpan[] _sorted;

    /// <param name="answers">The time of each, in any order; one at least.</param>
    public AnswerTimes(IEnumerable<TimeSpan> answers) => _sorted = [.. answers.Order()];

    public int Count => _sorted.Length;

    public TimeSpan Median => _sorted[Count / 2];

    /// <summary>The time within which 99 of 100 answers came.</summary>
    public TimeSpan P99 => _sorted[Math.Max((Count * 99 / 100) - 1, 0)];

    public TimeSpan Longest => _sorted[^1];

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Count} answers, median {Median.TotalMilliseconds:0.000} ms, p99 {P99.TotalMilliseconds:0.000} ms, longest {Longest.TotalMilliseconds:0.0} ms");
}
