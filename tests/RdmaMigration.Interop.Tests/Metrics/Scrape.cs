using System.Globalization;
using System.Text.RegularExpressions;

namespace RdmaMigration.Interop.Metrics;

/// <summary>The answer to one scrape, in Prometheus's text format.</summary>
internal sealed partial record Scrape(string Body)
{
    private MatchCollection Samples => Sample().Matches(Body);

    /// <summary>The names of all series.</summary>
    public IEnumerable<string> Names => Samples.Select(sample => sample.Groups["name"].Value).Distinct();

    /// <summary>The status of the last migration.</summary>
    public string Status => Current("rdmamig_migration_status", "status");

    /// <summary>The side of the last migration.</summary>
    public string Side => Current("rdmamig_migration_side", "side");

    /// <summary>The value of the one series that has a name and these labels, each as NAME="VALUE".</summary>
    public double Value(string name, params string[] labels)
    {
        Match sample = Samples.Single(sample => sample.Groups["name"].Value == name
            && labels.All(label => sample.Groups["labels"].Value.Split(',').Contains(label)));
        return double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>The label of the series whose value is 1.</summary>
    private string Current(string name, string label) => Regex.Match(
        Samples.Single(sample => sample.Groups["name"].Value == name && sample.Groups["value"].Value == "1").Groups["labels"].Value,
        $"{label}=\"([^\"]*)\"").Groups[1].Value;

    [GeneratedRegex(@"^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>.*)\})? (?<value>\S+)( \d+)?$", RegexOptions.Multiline)]
    private static partial Regex Sample();
}
