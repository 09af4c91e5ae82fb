namespace RdmaMigration.Demo;

/// <summary>RAM that was moved, and the time of the whole migration.</summary>
internal sealed record Transfer(long Bytes, TimeSpan Time)
{
    public override string ToString() => FormattableString.Invariant($"{Bytes / 1048576.0:0.0} MiB in {Time.TotalSeconds:0.00} s");
}

/// <summary>What came of one round trip; one line of the demo's table.</summary>
/// <param name="Mode">How the memory was registered.</param>
/// <param name="Received">From QEMU into rdmamig receive.</param>
/// <param name="FileBytes">Size of the captured file.</param>
/// <param name="Sent">From rdmamig send into the second QEMU.</param>
/// <param name="RunState">State of the second machine after it was told to run.</param>
/// <param name="FirstDifference">Offset of the first byte of RAM that differs; null if the machines are identical.</param>
internal sealed record RoundTripResult(string Mode, Transfer Received, long FileBytes, Transfer Sent, string RunState, long? FirstDifference)
{
    public static string Columns => Line("mode", "received", "file", "sent", "run state", "identical");

    public bool Succeeded => FirstDifference is null && RunState == "running";

    public override string ToString() => Line(
        Mode,
        $"{Received}",
        FormattableString.Invariant($"{FileBytes / 1048576.0:0.0} MiB"),
        $"{Sent}",
        RunState,
        FirstDifference is null ? "yes" : FormattableString.Invariant($"NO, at 0x{FirstDifference:x}"));

    private static string Line(params string[] cells) =>
        $"  {cells[0],-8}  {cells[1],-22}  {cells[2],-10}  {cells[3],-22}  {cells[4],-10}  {cells[5]}";
}
