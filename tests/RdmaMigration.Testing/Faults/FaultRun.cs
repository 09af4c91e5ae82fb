using System.Diagnostics;

namespace RdmaMigration.Testing;

/// <summary>One case: a migration with its fault, what both sides report, and the migration after it.</summary>
internal sealed class FaultRun(FaultBed bed, FaultCase fault, TimeSpan patience)
{
    /// <summary>How much longer than promised rdmamig is watched.</summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(10);

    /// <summary>A phase that is stretched by a delay can still end too soon on a busy machine.</summary>
    private const int Attempts = 3;

    private bool? _isIdentical;
    private string? _nextError;

    /// <summary>How the migration ended at a side that was silent while the other host hung.</summary>
    private FaultReport? _late;

    public async Task<FaultRow> RunAsync()
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await AttemptAsync();
            }
            catch (PhaseMissedException) when (attempt < Attempts)
            {
                (_isIdentical, _late) = (null, null);
            }
        }
    }

    private async Task<FaultRow> AttemptAsync()
    {
        await using FaultPrograms programs = new(bed, fault);
        FaultInjection injection = new(bed, fault, programs);
        FaultMoment moment = new(bed, fault, programs);
        try
        {
            await programs.Sender.StartAsync();
            string uri = await programs.ListenAsync();
            DateTimeOffset since = await BeginAsync(programs, injection, moment, uri);
            (FaultReport source, FaultReport destination) = await ReportsAsync(programs, injection, since);
            moment.ThrowIfMissed();
            string? proof = await injection.ProveAsync();
            bool isAtSource = await programs.Sender.HasMachineAsync();
            FaultReport arrival = fault.Side is FaultSide.Source ? _late ?? destination : destination;
            bool isAtDestination = arrival.End is FaultEnd.Completed;
            await CompareAsync(programs, arrival);
            await EndAsync(injection, moment);
            bool nextWorks = await NextWorksAsync(programs);
            return new FaultRow(
                fault, fault.Promised.TotalSeconds, source, destination, PlaceOf(isAtSource && !(isAtDestination && IsInDoubt(source)), isAtDestination),
                nextWorks, _isIdentical, proof, _nextError);
        }
        finally
        {
            await EndAsync(injection, moment);
        }
    }

    /// <summary>Starts the migration and makes the fault happen. Returns the time that reports are measured from.</summary>
    private async Task<DateTimeOffset> BeginAsync(FaultPrograms programs, FaultInjection injection, FaultMoment moment, string uri)
    {
        DateTimeOffset since;
        if (moment.IsBefore)
        {
            await injection.StrikeAsync();
            since = DateTimeOffset.UtcNow;
            await programs.Sender.SendAsync(uri, fault.Phase);
            return since;
        }

        await moment.ReachAsync(uri);
        since = DateTimeOffset.UtcNow;
        await injection.StrikeAsync();
        moment.Strike();
        if (fault is not { Kind: FaultKind.HostHung or FaultKind.HostKilled, Side: FaultSide.Source })
        {
            await programs.Sender.ContinueAsync(fault.Phase);
        }

        return since;
    }

    private async Task<(FaultReport Source, FaultReport Destination)> ReportsAsync(FaultPrograms programs, FaultInjection injection, DateTimeOffset since)
    {
        if (fault.Kind is FaultKind.HostHung)
        {
            // A frozen side reports only after it continues.
            FaultSide other = fault.Side is FaultSide.Source ? FaultSide.Destination : FaultSide.Source;
            FaultReport seen = await ReportAsync(programs, other, since);
            await injection.EndAsync();
            if (fault.Side is FaultSide.Source)
            {
                await programs.Sender.ContinueAsync(fault.Phase);
            }

            FaultReport frozen = await ReportAsync(programs, fault.Side, DateTimeOffset.UtcNow);
            if (seen.End is FaultEnd.Silent)
            {
                // It has waited, and its migration ends now.
                _late = await ReportAsync(programs, other, DateTimeOffset.UtcNow);
            }

            return fault.Side is FaultSide.Source ? (frozen, seen) : (seen, frozen);
        }

        FaultReport[] both = await Task.WhenAll(ReportAsync(programs, FaultSide.Source, since), ReportAsync(programs, FaultSide.Destination, since));
        return (both[0], both[1]);
    }

    private Task<FaultReport> ReportAsync(FaultPrograms programs, FaultSide side, DateTimeOffset since)
    {
        if (fault.HasNothingToReport(side))
        {
            return Task.FromResult(FaultReport.Nothing);
        }

        TimeSpan promised = fault.Promised + s_margin;
        MigrationProgram program = side is FaultSide.Source ? fault.From : fault.To;
        return programs.ReportAsync(side, since, program is MigrationProgram.Qemu && patience > promised ? patience : promised);
    }

    /// <summary>Ends the fault and the delay. A second call does nothing.</summary>
    private async Task EndAsync(FaultInjection injection, FaultMoment moment)
    {
        if (fault is { Kind: FaultKind.HostHung or FaultKind.HostKilled, Side: FaultSide.Destination })
        {
            // The host runs no command before.
            await injection.EndAsync();
            await moment.EndAsync();
        }
        else
        {
            // A host that boots or is plugged in waits for an answer of the other one, which must not be delayed.
            await moment.EndAsync();
            await injection.EndAsync();
        }
    }

    /// <summary>The source says, or would have to find out after its host was killed, that the destination may have the machine.</summary>
    private bool IsInDoubt(FaultReport source) =>
        source.IsUnconfirmed || fault is { Kind: FaultKind.HostKilled, Side: FaultSide.Source, Phase: FaultPhase.Result };

    private async Task CompareAsync(FaultPrograms programs, FaultReport destination)
    {
        if (destination.End is FaultEnd.Completed)
        {
            _isIdentical = _isIdentical is not false && await programs.Receiver.IsIdenticalAsync();
        }
    }

    private async Task<bool> NextWorksAsync(FaultPrograms programs)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            await programs.Sender.StartAsync();
            string uri = await programs.ListenAsync();
            DateTimeOffset since = DateTimeOffset.UtcNow;
            await programs.Sender.SendAsync(uri, FaultPhase.Throughout);
            FaultReport source = await programs.Sender.ReportAsync(since, Deadlines.Migration);
            FaultReport destination =
                source.End is FaultEnd.Completed ? await NextReportAsync(programs, since) : FaultReport.Nothing;
            await CompareAsync(programs, destination);
            if ((source.End, destination.End) is (FaultEnd.Completed, FaultEnd.Completed))
            {
                _nextError = null;
                return true;
            }

            // After its device was added again, a listener needs about a second to listen.
            _nextError = $"the source reported {source}, the destination {destination}";
            if (fault.Kind is not (FaultKind.DeviceRemoved or FaultKind.LinkDown) || Stopwatch.GetElapsedTime(start) > Deadlines.Start)
            {
                return false;
            }
        }
    }

    private async Task<FaultReport> NextReportAsync(FaultPrograms programs, DateTimeOffset since)
    {
        FaultReport report;
        do
        {
            report = await programs.Receiver.ReportAsync(since, Deadlines.Migration);
        }
        // A host that was frozen first finds the connection of a source that gave up meanwhile.
        while (report.End is FaultEnd.Failed && fault.Kind is FaultKind.HostHung);
        return report;
    }

    private static FaultPlace PlaceOf(bool isAtSource, bool isAtDestination) => (isAtSource, isAtDestination) switch
    {
        (true, true) => FaultPlace.Both,
        (true, false) => FaultPlace.Source,
        (false, true) => FaultPlace.Destination,
        _ => FaultPlace.Nowhere,
    };
}
