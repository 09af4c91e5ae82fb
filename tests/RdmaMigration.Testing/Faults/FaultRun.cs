using System.Diagnostics;

namespace RdmaMigration.Testing;

/// <summary>One case: a migration with its fault, what both sides report, and the migration after it.</summary>
internal sealed class FaultRun(FaultBed bed, FaultCase fault, TimeSpan patience)
{
    /// <summary>How much longer than promised rdmamig is watched.</summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(10);

    private bool? _isIdentical;
    private string? _nextError;

    public async Task<FaultRow> RunAsync()
    {
        await using FaultPrograms programs = new(bed, fault);
        FaultInjection injection = new(bed, fault, programs);
        try
        {
            await programs.Sender.StartAsync();
            string uri = await programs.ListenAsync();
            DateTimeOffset since = await BeginAsync(programs, injection, uri);
            (FaultReport source, FaultReport destination) = await ReportsAsync(programs, injection, since);
            string? proof = await injection.ProveAsync();
            bool isAtSource = await programs.Sender.HasMachineAsync();
            await CompareAsync(programs, destination);
            await injection.EndAsync();
            bool nextWorks = await NextWorksAsync(programs);
            return new FaultRow(
                fault, fault.Promised.TotalSeconds, source, destination, PlaceOf(isAtSource, destination.End is FaultEnd.Completed), nextWorks, _isIdentical,
                proof, _nextError);
        }
        finally
        {
            await injection.EndAsync();
        }
    }

    /// <summary>Starts the migration and makes the fault happen. Returns the time that reports are measured from.</summary>
    private async Task<DateTimeOffset> BeginAsync(FaultPrograms programs, FaultInjection injection, string uri)
    {
        DateTimeOffset since;
        if (fault.Phase is FaultPhase.Ram)
        {
            await programs.Sender.SendAsync(uri, FaultBed.SlowBytesPerSecond);
            await programs.Sender.RamMovesAsync();
            since = DateTimeOffset.UtcNow;
            await injection.StrikeAsync();
            return since;
        }

        await injection.StrikeAsync();
        since = DateTimeOffset.UtcNow;
        await programs.Sender.SendAsync(uri, null);
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
            FaultReport frozen = await ReportAsync(programs, fault.Side, DateTimeOffset.UtcNow);
            return fault.Side is FaultSide.Source ? (frozen, seen) : (seen, frozen);
        }

        FaultReport[] both = await Task.WhenAll(ReportAsync(programs, FaultSide.Source, since), ReportAsync(programs, FaultSide.Destination, since));
        return (both[0], both[1]);
    }

    private Task<FaultReport> ReportAsync(FaultPrograms programs, FaultSide side, DateTimeOffset since)
    {
        TimeSpan promised = fault.Promised + s_margin;
        MigrationProgram program = side is FaultSide.Source ? fault.From : fault.To;
        return programs.ReportAsync(side, since, program is MigrationProgram.Qemu && patience > promised ? patience : promised);
    }

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
            await programs.Sender.SendAsync(uri, null);
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
