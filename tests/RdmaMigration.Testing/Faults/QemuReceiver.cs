namespace RdmaMigration.Testing;

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

    public Task AcceptsAsync() =>
        Qemu.Events.FirstAsync(said => said is { Name: "MIGRATION", Status: "active" }, _from, Deadlines.Migration, "an accepted connection");

    public Task StopAsync(bool stopped) => Qemu.Program.SignalAsync(stopped ? "STOP" : "CONT");

    public Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit) =>
        FaultReport.WaitAsync(Qemu.Program, "MIGRATION", _from, since, limit);

    public Task<bool> IsIdenticalAsync() => bed.IsIdenticalAsync(FaultBed.ArrivedRam, isCapture: false);

    public async ValueTask DisposeAsync() => await KillAsync();

    private Task KillAsync() => _qemu?.KillAsync() ?? Task.CompletedTask;
}
