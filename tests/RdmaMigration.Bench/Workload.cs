namespace RdmaMigration.Bench;

/// <summary>The RAM of a machine: <paramref name="Mebibytes"/> of which <paramref name="ZeroPercent"/> were never written; the rest is random.</summary>
internal sealed record Workload(int Mebibytes, double ZeroPercent)
{
    /// <summary>MiB that are random.</summary>
    public int DataMebibytes => Share(Mebibytes);

    /// <summary>Whether MiB number <paramref name="index"/> is random: untouched ones are spread evenly, each a whole MiB.</summary>
    public bool IsData(int index) => Share(index + 1) > Share(index);

    public override string ToString()
    {
        string size = Words.OfBytes((long)Mebibytes << 20);
        return ZeroPercent == 0 ? $"{size} random" : Report.Text($"{size}, {ZeroPercent:0.#} % zero");
    }

    private int Share(int mebibytes) => (int)(mebibytes * (100 - ZeroPercent) / 100);
}
