using System.Globalization;
using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>What a synthetic guest found of itself where it arrived, and what its source said of the migration.</summary>
/// <param name="Result">The source's RESULT.</param>
/// <param name="LostWrites">Pages that lack a write which was made at the source.</param>
/// <param name="TornPages">Pages of two writes.</param>
/// <param name="IsIntact">Nothing else is wrong either.</param>
/// <param name="Downtime">From the last instruction at the source to the first at the destination.</param>
/// <param name="Throttle">By how much auto-converge slowed it at most, in percent; 0 for not at all.</param>
public sealed record GuestMove(ReceiveResult Result, long LostWrites, long TornPages, bool IsIntact, TimeSpan Downtime, int Throttle)
{
    /// <summary>Bytes a second that the last passes over RAM reached.</summary>
    public long Bandwidth => Result.Values.GetProperty("bandwidth").GetInt64();

    /// <summary>Passes over RAM.</summary>
    public int Passes => Result.Values.GetProperty("dirty-sync-count").GetInt32();

    /// <summary>Moves a guest, while it writes, between two processes of rdmamig.</summary>
    /// <param name="uri">Where it arrives.</param>
    /// <param name="mebibytes">Its RAM.</param>
    /// <param name="bytesPerSecond">How fast it writes.</param>
    /// <param name="options">Further options of the source.</param>
    /// <exception cref="InvalidOperationException">It did not move; the message has what both said.</exception>
    public static async Task<GuestMove> RunAsync(string uri, int mebibytes, long bytesPerSecond, params string[] options)
    {
        string ram = string.Create(CultureInfo.InvariantCulture, $"{mebibytes}M");
        string rate = bytesPerSecond.ToString(CultureInfo.InvariantCulture);
        await using RdmamigProcess there = await RdmamigProcess.IncomingGuestAsync(uri, "--ram", ram, "--for", "1");
        await using RdmamigProcess here = RdmamigProcess.Guest(there.Uri, ["--ram", ram, "--dirty-rate", rate, "--after", "2", .. options]);
        ReceiveResult result = await here.ResultAsync();
        if (!result.Completed)
        {
            throw new InvalidOperationException($"the guest did not move: {result}\n{here.Process.Errors}\n{there.Process.Errors}");
        }

        QmpEvent verified = await there.Events.FirstAsync(e => e.Name == "VERIFIED", 0, Deadlines.Migration, "VERIFIED");
        JsonElement found = verified.Values;
        return new GuestMove(
            result,
            found.GetProperty("lost-writes").GetInt64(),
            found.GetProperty("torn-pages").GetInt64(),
            found.GetProperty("intact").GetBoolean(),
            TimeSpan.FromMilliseconds(found.GetProperty("downtime").GetDouble()),
            here.Events.Snapshot().Where(e => e.Name == "GUEST").Max(e => (int?)e.Values.GetProperty("throttle-percentage").GetInt32()) ?? 0);
    }
}
