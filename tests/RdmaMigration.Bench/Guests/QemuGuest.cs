using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary>A QEMU whose guest dirties memory at a rate, and its migration to another QEMU. The guest's timer sets the rate.</summary>
internal sealed class QemuGuest : IDisposable
{
    private const ulong Seed = 20261127;
    private readonly GuestPlan _plan;
    private readonly WorkDirectory _work = new();

    public QemuGuest(GuestPlan plan)
    {
        _plan = plan;
        GuestMemory.Fill(_work.File("source.ram"), plan.Mebibytes, Seed, halfZero: false);
    }

    /// <summary>Measures the rate that the guest reaches while nothing else runs.</summary>
    public async Task<GuestPace> MeasureAsync(int rate)
    {
        await using QemuMachine machine = await StartAsync("alone", _work.File("source.ram"), rate);
        SerialOutput output = new(machine.Serial!, BytesPerCharacter(rate));
        DateTimeOffset settled = await output.FirstAsync(Deadlines.Start) + GuestPlan.Settling;
        await Task.Delay(GuestPlan.Settling + TimeSpan.FromSeconds(_plan.BeforeSeconds));
        return new GuestPace(rate, RateOf(output, settled, DateTimeOffset.UtcNow));
    }

    /// <summary>Migrates the guest once, with pin-all.</summary>
    /// <exception cref="InvalidOperationException">The migration failed.</exception>
    public async Task<GuestPassage> MigrateAsync(int rate)
    {
        string uri = RdmaAddress.NextUri();
        string restored = _work.File("restored.ram");
        await using QemuMachine destination = await StartAsync("destination", restored, rate, uri);
        try
        {
            await using QemuMachine source = await StartAsync("source", _work.File("source.ram"), rate);
            await source.SetCapabilitiesAsync(("rdma-pin-all", true));
            await source.SetLimitsAsync(RdmaAddress.Unlimited, _plan.DowntimeLimitMilliseconds);
            return await MigrateAsync(source, destination, uri, rate);
        }
        finally
        {
            File.Delete(restored);
        }
    }

    public void Dispose() => _work.Dispose();

    private async Task<GuestPassage> MigrateAsync(QemuMachine source, QemuMachine destination, string uri, int rate)
    {
        SerialOutput there = new(destination.Serial!, BytesPerCharacter(rate));
        SerialOutput here = new(source.Serial!, BytesPerCharacter(rate));
        DateTimeOffset settled = await here.FirstAsync(Deadlines.Start) + GuestPlan.Settling;
        await Task.Delay(GuestPlan.Settling + TimeSpan.FromSeconds(_plan.BeforeSeconds));

        int from = source.Monitor.Events.Count;
        DateTimeOffset begin = DateTimeOffset.UtcNow;
        double before = RateOf(here, settled, begin);
        await source.StartMigrationAsync(uri);
        MigrationOutcome? outcome = await OutcomeAsync(source, from);
        if (outcome is null)
        {
            DateTimeOffset end = DateTimeOffset.UtcNow;
            return new GuestPassage
            {
                Contestant = GuestContestant.Qemu,
                Rate = rate,
                Converged = false,
                RateBefore = before,
                RateDuring = here.Writes.RateBetween(begin, end),
                TotalMilliseconds = (end - begin).TotalMilliseconds,
                DowntimeMilliseconds = null,
                Iterations = await CancelAsync(source, from),
            };
        }

        QmpEvent arrived = await destination.MigrationEndAsync(0);
        if (outcome.Status != "completed" || arrived.Status != "completed")
        {
            throw new InvalidOperationException(
                $"the source QEMU says {outcome}, the destination {arrived}\n{source.Process.Errors}\n{destination.Process.Errors}");
        }

        QmpEvent stop = await source.Monitor.Events.FirstAsync(e => e.Name == "STOP", from, Deadlines.Answer, "STOP of the source");
        DateTimeOffset first = await there.FirstAsync(Deadlines.Migration);
        return new GuestPassage
        {
            Contestant = GuestContestant.Qemu,
            Rate = rate,
            Converged = true,
            RateBefore = before,
            RateDuring = here.Writes.RateBetween(begin, stop.Time),
            TotalMilliseconds = outcome.TotalTime.TotalMilliseconds,
            DowntimeMilliseconds = outcome.Downtime.TotalMilliseconds,
            SerialGapMilliseconds = (first - here.Writes.LastAt(first)!.Value).TotalMilliseconds,
            Iterations = outcome.DirtySyncs,
        };
    }

    /// <summary>How the migration ended; null if it did not end within the time limit.</summary>
    private async Task<MigrationOutcome?> OutcomeAsync(QemuMachine source, int from)
    {
        try
        {
            await source.Monitor.Events.FirstAsync(
                e => e is { Name: "MIGRATION", Status: "completed" or "failed" }, from, TimeSpan.FromSeconds(_plan.TimeoutSeconds), "end of migration");
        }
        catch (TimeoutException)
        {
            return null;
        }

        return await source.MigrationOutcomeAsync(from);
    }

    /// <summary>Cancels a migration, and returns how many passes it had made. A source that does not end it is killed with the machine.</summary>
    private static async Task<int> CancelAsync(QemuMachine source, int from)
    {
        JsonElement query = await source.Monitor.ExecuteAsync("query-migrate");
        await source.Monitor.ExecuteAsync("migrate_cancel");
        try
        {
            await source.Monitor.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "cancelled" }, from, Deadlines.Answer, "cancelled");
        }
        catch (TimeoutException)
        {
            // The machine is disposed of anyway.
        }

        return MigrationOutcome.Parse(query).DirtySyncs;
    }

    private Task<QemuMachine> StartAsync(string name, string memory, int rate, string? incoming = null)
    {
        string image = _work.File($"{name}.boot");
        uint pagesPerTick = GuestPace.PagesPerTick(rate);
        const uint First = (uint)GuestPlan.FirstMebibyte << 20;
        DirtyingGuest.WriteImage(image, First, First + (_plan.WorkingSetPages * DirtyingGuest.PageSize), pagesPerTick, pagesPerTick);
        return QemuMachine.StartAsync(
            new QemuOptions(name, "pc", _plan.Mebibytes) { MemoryFile = memory, BootImage = image, Incoming = incoming, Paused = false });
    }

    private static double RateOf(SerialOutput output, DateTimeOffset from, DateTimeOffset to) =>
        output.Writes.RateBetween(from, to) ?? throw new InvalidOperationException("the guest of QEMU stopped writing to COM1");

    private static long BytesPerCharacter(int rate) => (long)GuestPace.PagesPerTick(rate) * DirtyingGuest.PageSize;
}
