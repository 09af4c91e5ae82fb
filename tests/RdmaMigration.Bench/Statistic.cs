using System.Globalization;

namespace RdmaMigration.Bench;

/// <summary>A few measurements of one thing.</summary>
internal readonly record struct Statistic(double Median, double Least, double Most)
{
    /// <exception cref="ArgumentException">There are none.</exception>
    public static Statistic Of(IEnumerable<double> values)
    {
        double[] all = [.. values];
        return all.Length == 0
            ? throw new ArgumentException("nothing was measured", nameof(values))
            : new Statistic(Testing.Median.Of(all), all.Min(), all.Max());
    }

    /// <summary>The median, and what lies around it if there is more than one value: <c>12 (11–14)</c>.</summary>
    public string ToText(string format)
    {
        string Write(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return Least == Most ? Write(Median) : $"{Write(Median)} ({Write(Least)}–{Write(Most)})";
    }
}
