namespace RdmaMigration.Testing;

/// <summary>The program that receives. Disposing kills it.</summary>
internal interface IReceivingEnd : IAsyncDisposable
{
    /// <summary>Waits for a machine. A program that cannot take another one is started again.</summary>
    /// <returns>Where it listens.</returns>
    Task<string> ListenAsync();

    Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit);

    /// <summary>Whether the machine that arrived has the source's RAM.</summary>
    Task<bool> IsIdenticalAsync();

    Task KillAsync();
}

/// <summary>rdmamig receive, which goes on listening after a failure.</summary>
internal sealed class RdmamigReceiver(FaultBed bed, FaultCase fault) : IReceivingEnd
{
    private GuestProgram? _program;
    private string _uri = "";
    private int _from;

    private GuestProgram Program => _program ?? throw new InvalidOperationException("no receiver runs");

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

    public Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit) => FaultReport.WaitAsync(Program, "RESULT", _from, since, limit);

    public Task<bool> IsIdenticalAsync()
    {
        QmpEvent result = Program.Events.Snapshot().Last(said => said is { Name: "RESULT", Status: "completed" });
        return bed.IsIdenticalAsync(ReceiveResult.Parse(result).File, isCapture: true);
    }

    public Task KillAsync() => _program?.KillAsync() ?? Task.CompletedTask;

    public async ValueTask DisposeAsync() => await KillAsync();
}

/// <summary>A QEMU that takes one machine.</summary>
internal sealed class QemuReceiver(FaultBed bed) : IReceivingEnd
{
    private GuestQemu? _qemu;
    private int _from;

    private GuestQemu Qemu => _qemu ?? throw new InvalidOperationException("no QEMU runs");

    public async Task<string> ListenAsync()
    {
        await KillAsync();
        _qemu = await GuestQemu.StartAsync(
            bed.Destination,
            new QemuOptions("destination", "pc", FaultBed.Mebibytes) { MemoryFile = FaultBed.ArrivedRam, Incoming = "defer" },
            $"rm -f {FaultBed.ArrivedRam} && echo $$ > {FaultBed.Group}/cgroup.procs && ");
        string uri = FaultBed.NextUri();
        _from = Qemu.Events.Count;
        await Qemu.ExecuteAsync("migrate-incoming", new { uri });
        return uri;
    }

    public Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit) =>
        FaultReport.WaitAsync(Qemu.Program, "MIGRATION", _from, since, limit);

    public Task<bool> IsIdenticalAsync() => bed.IsIdenticalAsync(FaultBed.ArrivedRam, isCapture: false);

    public Task KillAsync() => _qemu?.Program.KillAsync() ?? Task.CompletedTask;

    public async ValueTask DisposeAsync() => await KillAsync();
}
