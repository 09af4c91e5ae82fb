using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace RdmaMigration.Bench.Micro;

/// <summary>How many bytes of RAM one operation of a benchmark goes over.</summary>
/// <param name="count">Bytes.</param>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class BytesAttribute(long count) : Attribute
{
    public long Count { get; } = count;
}

/// <summary>GiB a second of the fastest iteration, as STREAM counts: what a busy machine takes away is not the code's.</summary>
internal sealed class RateColumn : Column
{
    public override string Id => nameof(RateColumn);

    public override string ColumnName => "GiB/s";

    public override string Legend => "RAM that a second covers, in the fastest iteration";

    public override string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        RateOf(summary, benchmarkCase)?.ToString("0.0", CultureInfo.InvariantCulture) ?? "-";
}

/// <summary>That rate as a share of the baseline's.</summary>
internal sealed class ShareColumn : Column
{
    public override string Id => nameof(ShareColumn);

    public override string ColumnName => "of baseline";

    public override string Legend => "GiB/s divided by the baseline's";

    public override string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        double? baseline = summary.BenchmarksCases
            .Where(other => other.Descriptor.Baseline && other.Descriptor.Type == benchmarkCase.Descriptor.Type)
            .Select(other => RateOf(summary, other))
            .FirstOrDefault();
        return (RateOf(summary, benchmarkCase) / baseline)?.ToString("0.00", CultureInfo.InvariantCulture) ?? "-";
    }
}

/// <summary>What the columns of this program have in common.</summary>
internal abstract class Column : IColumn
{
    private const double Gibibyte = 1L << 30;

    public abstract string Id { get; }

    public abstract string ColumnName { get; }

    public abstract string Legend { get; }

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public abstract string GetValue(Summary summary, BenchmarkCase benchmarkCase);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    /// <summary>GiB a second in the fastest iteration; null for a benchmark that failed or has no <see cref="BytesAttribute"/>.</summary>
    protected static double? RateOf(Summary summary, BenchmarkCase benchmarkCase)
    {
        object[] bytes = benchmarkCase.Descriptor.WorkloadMethod.GetCustomAttributes(typeof(BytesAttribute), inherit: false);
        return bytes is [BytesAttribute covered] && summary[benchmarkCase]?.ResultStatistics is { } statistics
            ? covered.Count / Gibibyte / (statistics.Min / 1e9)
            : null;
    }
}
