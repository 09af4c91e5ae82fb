using RdmaMigration.Testing;

namespace RdmaMigration.Demo;

/// <summary>A .NET machine that moved while it wrote memory; one line of the demo.</summary>
internal sealed record LiveMove(GuestMove Move)
{
    public const int Mebibytes = 128;
    public const int MebibytesPerSecond = 4;

    public static string Columns => Line("mode", "moved", "passes", "downtime", "writes lost");

    public bool Succeeded => Move.IsIntact;

    public static async Task<LiveMove> RunAsync() => new(await GuestMove.RunAsync(RdmaAddress.NextUri(), Mebibytes, MebibytesPerSecond << 20));

    public override string ToString() => Line(
        Move.Result.Mode,
        $"{new Transfer(Move.Result.RamTransferred, TimeSpan.FromMilliseconds(Move.Result.TotalMilliseconds))}",
        FormattableString.Invariant($"{Move.Passes}"),
        FormattableString.Invariant($"{Move.Downtime.TotalMilliseconds:0} ms"),
        FormattableString.Invariant($"{Move.LostWrites}"));

    private static string Line(params string[] cells) => $"  {cells[0],-8}  {cells[1],-22}  {cells[2],-10}  {cells[3],-22}  {cells[4]}";
}
