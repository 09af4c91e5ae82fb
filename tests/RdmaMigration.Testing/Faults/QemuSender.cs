using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>A paused QEMU.</summary>
internal sealed class QemuSender(FaultBed bed, FaultCase fault) : ISendingEnd
{
    /// <summary>QEMU connects before it answers to `migrate`; a QEMU that hangs there never answers.</summary>
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(10);

    private GuestQemu? _qemu;
    private Task _migrate = Task.CompletedTask;
    private int _from;

    private GuestQemu Qemu => _qemu ?? throw new InvalidOperationException("QEMU does not run");

    public async Task StartAsync()
    {
        // A migration that fails after the last pass leaves a machine that was paused in this state. It is still there, but is not migrated again.
        if (await HasMachineAsync() && (await Qemu.ExecuteAsync("query-status")).GetProperty("status").GetString() != "postmigrate")
        {
            return;
        }

        await KillAsync();
        _migrate = Task.CompletedTask;
        _qemu = await GuestQemu.StartAsync(bed.Source, new QemuOptions("source", "pc", FaultBed.Mebibytes) { MemoryFile = FaultBed.SourceRam });

        // QEMU 7.2 asks for a return path over RDMA only with this. Without one it cannot learn that a file could not be written.
        await Qemu.SetCapabilitiesAsync(("postcopy-ram", fault.Kind is FaultKind.DiskFull));
    }

    public async Task SendAsync(string uri, FaultPhase phase)
    {
        long rate = phase is FaultPhase.Setup or FaultPhase.Ram ? FaultBed.SlowBytesPerSecond : RdmaAddress.Unlimited;
        await Qemu.ExecuteAsync("migrate-set-parameters", new Dictionary<string, object> { ["max-bandwidth"] = rate });
        await Qemu.SetCapabilitiesAsync(("pause-before-switchover", phase is FaultPhase.Device));
        _from = Qemu.Events.Count;
        _migrate = Qemu.ExecuteAsync("migrate", new { uri }, s_longest);
    }

    public Task RamEndsAsync() => throw new NotSupportedException("QEMU waits before device state by itself");

    public async Task ReachAsync(FaultPhase phase)
    {
        await _migrate.WaitAsync(Deadlines.Migration);
        if (phase is FaultPhase.Device)
        {
            await Qemu.Events.FirstAsync(
                said => said is { Name: "MIGRATION", Status: "pre-switchover" }, _from, Deadlines.Migration, "pause before the switchover");
            return;
        }

        using CancellationTokenSource deadline = new(Deadlines.Migration);
        MigrationOutcome now;
        do
        {
            deadline.Token.ThrowIfCancellationRequested();
            now = MigrationOutcome.Parse(await Qemu.ExecuteAsync("query-migrate"));
        }
        while (now.RamTransferred == 0 && now.Status is not ("failed" or "completed"));
        if (now.RamTransferred == 0)
        {
            throw new InvalidOperationException($"no RAM was sent: {now}");
        }
    }

    public Task ContinueAsync(FaultPhase phase) =>
        phase is FaultPhase.Device ? Qemu.ExecuteAsync("migrate-continue", new { state = "pre-switchover" }) : Task.CompletedTask;

    public QmpEvent? FirstAfter(FaultPhase phase) => phase is FaultPhase.Setup
        ? Qemu.Events.Snapshot().Skip(_from).FirstOrDefault(said => said is { Name: "MIGRATION", Status: "active" })
        : null;

    public async Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit)
    {
        try
        {
            await _migrate.WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            return new FaultReport(FaultEnd.Silent);
        }
        catch (Exception refused) when (refused is QmpException or EndOfStreamException)
        {
            return FaultReport.Failed(since, refused.Message);
        }

        return await FaultReport.WaitAsync(Qemu.Program, "MIGRATION", _from, since, limit);
    }

    public async Task<bool> HasMachineAsync()
    {
        if (_qemu is null || _qemu.Program.HasEnded || !_migrate.IsCompleted)
        {
            return false;
        }

        try
        {
            JsonElement migration = await _qemu.ExecuteAsync("query-migrate");
            return !migration.TryGetProperty("status", out JsonElement status) || status.GetString() is "none" or "failed" or "cancelled";
        }
        catch (Exception silent) when (silent is TimeoutException or EndOfStreamException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync() => await KillAsync();

    private Task KillAsync() => _qemu?.KillAsync() ?? Task.CompletedTask;
}
