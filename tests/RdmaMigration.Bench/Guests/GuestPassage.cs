namespace RdmaMigration.Bench.Guests;

/// <summary>One migration of a guest that runs, as measured.</summary>
internal sealed record GuestPassage
{
    public required GuestContestant Contestant { get; init; }

    /// <summary>The dirty rate that was asked for, MiB/s.</summary>
    public required int Rate { get; init; }

    /// <summary>rdmamig: the rate that its guest was given, MiB/s, which QEMU's guest reached last.</summary>
    public double? GivenRate { get; init; }

    /// <summary>The migration completed within the time limit.</summary>
    public required bool Converged { get; init; }

    /// <summary>MiB/s that the guest wrote before the migration.</summary>
    public required double RateBefore { get; init; }

    /// <summary>MiB/s that it wrote from the start of the migration until it was stopped; null if that was too short to be measured.</summary>
    public required double? RateDuring { get; init; }

    /// <summary>The source's own total-time; of a migration that did not converge, how long it was tried.</summary>
    public required double TotalMilliseconds { get; init; }

    /// <summary>
    /// QEMU: query-migrate's downtime. rdmamig: from the last write at the source to the first at the destination. Null if it did not converge.
    /// </summary>
    public required double? DowntimeMilliseconds { get; init; }

    /// <summary>QEMU: from the guest's last character at the source to its first at the destination.</summary>
    public double? SerialGapMilliseconds { get; init; }

    /// <summary>rdmamig: the source's own downtime, from its request to stop the guest to the destination's report that the guest runs.</summary>
    public double? SourceDowntimeMilliseconds { get; init; }

    /// <summary>dirty-sync-count.</summary>
    public required int Iterations { get; init; }

    /// <summary>Writes that are missing or came late, and pages that are torn or foreign; null for QEMU, whose guest cannot be verified.</summary>
    public long? WritesLost { get; init; }

    /// <summary>The guest's speed during the migration as a share of that before.</summary>
    public double? Speed => RateDuring / RateBefore;

    /// <summary>The migration in a few words.</summary>
    public string Short()
    {
        string end = Converged
            ? Report.Text($"{TotalMilliseconds:0} ms, downtime {DowntimeMilliseconds:0} ms")
            : Report.Text($"not converged within {TotalMilliseconds / 1000:0} s");
        return Report.Text($"{end}, {Iterations} iterations, guest at {Speed:0 %} of {RateBefore:0.00} MiB/s");
    }
}
