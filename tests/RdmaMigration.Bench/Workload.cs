namespace RdmaMigration.Bench;

/// <summary>The RAM of a machine: <paramref name="Mebibytes"/> of which <paramref name="ZeroPercent"/> were never written; the rest is random.</summary>
internal sealed record Workload(int Mebibytes, int ZeroPercent)
{
    /// <summary>MiB that are random.</summary>
    public int DataMebibytes => Enumerable.Range(0, Mebibytes).Count(IsData);

    /// <summary>Whether MiB number <paramref name="index"/> is random: untouched ones are spread evenly, each a whole MiB.</summary>
    public bool IsData(int index) => Share(index + 1) > Share(index);

    public override string ToString() => ZeroPercent == 0 ? $"{Mebibytes} MiB random" : $"{Mebibytes} MiB, {ZeroPercent} % zero";

    private int Share(int mebibytes) => mebibytes * (100 - ZeroPercent) / 100;
}
