namespace RdmaMigration.Testing;

/// <summary>rdmamig receive, which goes on listening after a failure. Disposing kills it.</summary>
internal sealed class RdmamigReceiver(FaultBed bed, FaultCase fault) : IReceivingEnd
{
    private GuestProgram? _program;
    private string _uri = "";
    private int _from;

    private GuestProgram Program => _program ?? throw new InvalidOperationException("no receiver runs");

    /// <summary>Makes the program listen. Starts it again if it has ended.</summary>
    /// <returns>Where it listens.</returns>
    public async Task<string> ListenAsync()
    {
        if (_program is null or { HasEnded: true })
        {
            _uri = FaultBed.NextUri(fault.Kind is FaultKind.Ipv6);
            _program = await bed.Destination.StartAsync(FormattableString.Invariant(
                $"echo $$ > {FaultBed.Group}/cgroup.procs && exec {GuestHost.Rdmamig} receive '{_uri}' --to {FaultBed.Captures}/ --json ")
                + FormattableString.Invariant($"--keepalive-interval {FaultCase.KeepAliveSeconds}"));
            await Program.Events.FirstAsync(said => said.Name == "LISTENING", 0, Deadlines.Start, "LISTENING");
        }

        _from = Program.Events.Count;
        return _uri;
    }

    public Task AcceptsAsync() => Program.Events.FirstAsync(said => said.Name == "MIGRATION", _from, Deadlines.Migration, "an accepted connection");

    public Task StopAsync(bool stopped) => Program.SignalAsync(stopped ? "STOP" : "CONT");

    /// <summary>Waits for the next result.</summary>
    public async Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit)
    {
        FaultReport report = await FaultReport.WaitAsync(Program, "RESULT", _from, since, limit);
        int found = Array.FindIndex(Program.Events.Snapshot(), _from, said => said.Name == "RESULT");
        _from = found < 0 ? _from : found + 1;
        return report;
    }

    /// <summary>Whether the machine that arrived has the source's RAM.</summary>
    public Task<bool> IsIdenticalAsync()
    {
        QmpEvent result = Program.Events.Snapshot().Last(said => said is { Name: "RESULT", Status: "completed" });
        return bed.IsIdenticalAsync(ReceiveResult.Parse(result).File, isCapture: true);
    }

    public async ValueTask DisposeAsync()
    {
        if (_program is not null)
        {
            await _program.KillAsync();
        }
    }
}
