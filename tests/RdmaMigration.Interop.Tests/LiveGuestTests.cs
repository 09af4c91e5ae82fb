using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// A synthetic guest that dirties memory at half the link's rate moves between two processes. It is slowed when it writes faster than a busy machine takes
/// pages; `rdmamig-bench guest` measures without that.
/// </summary>
[Trait("needs", "rdma")]
public sealed class LiveGuestTests
{
    private const int Mebibytes = 64;

    [Fact]
    public async Task No_write_is_lost_or_torn_at_half_the_rate_of_the_link()
    {
        GuestMove slow = await MoveAsync(1 << 20, pinAll: false);
        await MoveAsync(slow.Bandwidth / 2, pinAll: false);
        await MoveAsync(slow.Bandwidth / 2, pinAll: true);
    }

    private static async Task<GuestMove> MoveAsync(long rate, bool pinAll)
    {
        GuestMove move = await GuestMove.RunAsync(
            RdmaAddress.NextUri(), Mebibytes, rate, ["--auto-converge", "--cpu-throttle-increment", "25", .. pinAll ? (string[])["--pin-all"] : []]);
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{rate >> 20} MiB/s dirtied: {move.Result.TotalMilliseconds} ms, {move.Passes} passes, downtime {move.Downtime.TotalMilliseconds:0} ms"));
        Assert.Equal((0, 0, true), (move.LostWrites, move.TornPages, move.IsIntact));
        return move;
    }
}
