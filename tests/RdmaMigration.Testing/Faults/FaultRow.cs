using System.Text.Json.Serialization;

namespace RdmaMigration.Testing;

/// <summary>How a migration ended at one side.</summary>
public enum FaultEnd
{
    /// <summary>The side reported success.</summary>
    Completed,

    /// <summary>The side reported a failure.</summary>
    Failed,

    /// <summary>The side reported nothing for as long as it was watched.</summary>
    Silent,

    /// <summary>The side's program ended without a report, or no connection reached it.</summary>
    NothingToReport,
}

/// <summary>What one side reported.</summary>
/// <param name="End">How it ended there.</param>
/// <param name="Seconds">From the fault to the report; from the start of the migration for a fault that was there before. Null without a
/// report.</param>
/// <param name="ErrorClass">rdmamig's reason.</param>
/// <param name="Error">The message.</param>
/// <param name="IsUnconfirmed">The source has sent everything and says to check the destination before the machine is started elsewhere.</param>
public sealed record FaultReport(FaultEnd End, double? Seconds = null, string? ErrorClass = null, string? Error = null, bool IsUnconfirmed = false)
{
    private const int KeptCharacters = 400;

    public static FaultReport Nothing { get; } = new(FaultEnd.NothingToReport);

    /// <summary>Waits for the final event of a migration: RESULT of rdmamig, MIGRATION of QEMU.</summary>
    internal static async Task<FaultReport> WaitAsync(GuestProgram program, string name, int from, DateTimeOffset since, TimeSpan limit)
    {
        TimeSpan left = since + limit - DateTimeOffset.UtcNow;
        try
        {
            QmpEvent end = await program.Events.FirstAsync(
                said => said.Name == name && said.Status is "completed" or "failed" or "cancelled",
                from,
                left > TimeSpan.Zero ? left : TimeSpan.FromSeconds(1),
                name);
            ReceiveResult result = ReceiveResult.Parse(end);
            return new FaultReport(
                result.Completed ? FaultEnd.Completed : FaultEnd.Failed,
                Since(since, end.Seen),
                Known(result.ErrorClass),
                Known(result.Error),
                result.Error.Contains("everything was sent", StringComparison.Ordinal));
        }
        catch (TimeoutException)
        {
            return new FaultReport(FaultEnd.Silent);
        }
        catch (EndOfStreamException) when (name == "MIGRATION")
        {
            // A destination QEMU ends when it fails.
            return Failed(since, program.Text);
        }
        catch (EndOfStreamException)
        {
            return Nothing with { Error = Last(program.Text) };
        }
    }

    internal static FaultReport Failed(DateTimeOffset since, string error) =>
        new(FaultEnd.Failed, Since(since, DateTimeOffset.UtcNow), null, Last(error));

    private static double Since(DateTimeOffset since, DateTimeOffset time) => Math.Round((time - since).TotalSeconds, 1);

    private static string? Known(string text) => text.Length == 0 ? null : text;

    private static string Last(string text) => text.Length <= KeptCharacters ? text : text[^KeptCharacters..];
}

/// <summary>Where the machine is after a fault.</summary>
public enum FaultPlace
{
    /// <summary>At the source, which can send it again.</summary>
    Source,

    /// <summary>At the destination.</summary>
    Destination,

    /// <summary>At both.</summary>
    Both,

    /// <summary>At none.</summary>
    Nowhere,
}

/// <summary>One row of the matrix.</summary>
/// <param name="Case">The case.</param>
/// <param name="PromisedSeconds">The time within which rdmamig reports it.</param>
/// <param name="Source">What the source reported.</param>
/// <param name="Destination">What the destination reported.</param>
/// <param name="Place">Where the machine was afterwards.</param>
/// <param name="NextWorks">The next migration succeeded.</param>
/// <param name="IsIdentical">The memory that arrived, in this migration or the next, is that of the source; null if none arrived.</param>
/// <param name="Proof">The proof that the fault was in effect. Null if the outcome proves it.</param>
/// <param name="NextError">Why the next migration failed.</param>
public sealed record FaultRow(
    FaultCase Case, double PromisedSeconds, FaultReport Source, FaultReport Destination, FaultPlace Place, bool NextWorks, bool? IsIdentical, string? Proof,
    string? NextError)
{
    /// <summary>The promises that rdmamig broke. Empty for a case without rdmamig.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Broken => [.. FindBroken()];

    /// <summary>
    /// On a bad network a source QEMU's device can run out of retries. rdmamig then only sees that the source disconnects. The machine stays there, and the
    /// case has proved nothing about the network.
    /// </summary>
    [JsonIgnore]
    public bool IsInconclusive =>
        (Source.End, Destination.End, Place) is (FaultEnd.Failed, FaultEnd.Failed, FaultPlace.Source)
        && this is { Case: { IsBearable: true, From: MigrationProgram.Qemu }, Destination.ErrorClass: "Disconnected", NextWorks: true };

    public override string ToString() => $"{Case}: source {Source}, destination {Destination}, machine {Place}, next {NextWorks} {NextError}, "
        + $"identical {IsIdentical}, {Proof}";

    private IEnumerable<string> FindBroken()
    {
        IEnumerable<string> broken =
        [
            .. Case.From is MigrationProgram.Rdmamig ? BrokenBy(FaultSide.Source, Source) : [],
            .. Case.To is MigrationProgram.Rdmamig ? BrokenBy(FaultSide.Destination, Destination) : [],
        ];
        if ((Case.From, Case.To) is (MigrationProgram.Qemu, MigrationProgram.Qemu))
        {
            return [];
        }

        if (!IsAtOneSide)
        {
            broken = broken.Append($"the machine is at {Place}");
        }

        if (!NextWorks)
        {
            broken = broken.Append($"the next migration failed: {NextError}");
        }

        return IsIdentical is false ? broken.Append("the memory that arrived differs") : broken;
    }

    /// <summary>A QEMU that hangs, or whose host was killed, has lost its machine, whatever the other side does.</summary>
    private bool IsAtOneSide => Place is FaultPlace.Source or FaultPlace.Destination
        || (Place is FaultPlace.Nowhere && Case.From is MigrationProgram.Qemu
            && (Source.End is FaultEnd.Silent || Case is { Kind: FaultKind.HostKilled, Side: FaultSide.Source }));

    private IEnumerable<string> BrokenBy(FaultSide side, FaultReport report)
    {
        if (Case.HasNothingToReport(side))
        {
            return [];
        }

        if (report.End is FaultEnd.NothingToReport)
        {
            return [$"the {side} ended without a report: {report.Error}"];
        }

        if (report.End is FaultEnd.Silent || report.Seconds > PromisedSeconds)
        {
            return [$"the {side} did not report within {PromisedSeconds} s: {report}"];
        }

        // A host that was frozen does not know it. Its program can still complete the migration if the other side has waited.
        // While the source waits for the result, the destination may have everything.
        bool isFrozen = Case.Kind is FaultKind.HostHung && Case.Side == side;
        bool mayComplete = isFrozen || Case.Phase is FaultPhase.Result;
        FaultEnd expected = Case.IsBearable || (mayComplete && report.End is FaultEnd.Completed) ? FaultEnd.Completed : FaultEnd.Failed;
        return report.End == expected ? [] : [$"the {side} reported {report}"];
    }
}
