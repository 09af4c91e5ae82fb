using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary>A QEMU whose guest dirties memory at a rate, and its migration to another QEMU. A delay loop in the guest sets the rate.</summary>
internal sealed class QemuGuest : IDisposable
{
    private const ulong Seed = 20261127;
    private const int Attempts = 3;
    private const double GoodEnough = 0.03;
    private static readonly TimeSpan s_calibration = TimeSpan.FromSeconds(2);

    private readonly GuestPlan _plan;
    private readonly WorkDirectory _work = new();
    private GuestPace? _slow;

    public QemuGuest(GuestPlan plan)
    {
        _plan = plan;
        GuestMemory.Fill(_work.File("source.ram"), plan.Mebibytes, Seed, halfZero: false);
    }

    /// <summary>Finds the delay for a rate.</summary>
    /// <returns>The pace, with the rate that the guest reaches with it.</returns>
    public async Task<GuestPace> CalibrateAsync(int rate)
    {
        GuestPace pace = (_slow ??= await MeasureAsync(GuestPace.Slow)).For(rate);
        for (int attempt = 1; ; attempt++)
        {
            pace = await MeasureAsync(pace);
            if (attempt == Attempts || Math.Abs((pace.Reached / rate) - 1) <= GoodEnough || pace.Delay == 1)
            {
                return pace;
            }

            pace = pace.For(rate);
        }
    }

    /// <summary>Migrates the guest once, with pin-all.</summary>
    /// <exception cref="InvalidOperationException">The migration failed.</exception>
    public async Task<GuestPassage> MigrateAsync(GuestPace pace)
    {
        string uri = RdmaAddress.NextUri();
        string restored = _work.File("restored.ram");
        await using QemuMachine destination = await StartAsync("destination", restored, pace, uri);
        try
        {
            await using QemuMachine source = await StartAsync("source", _work.File("source.ram"), pace);
            await source.SetCapabilitiesAsync(("rdma-pin-all", true));
            await source.SetLimitsAsync(RdmaAddress.Unlimited, _plan.DowntimeLimitMilliseconds);
            return await MigrateAsync(source, destination, uri, pace);
        }
        finally
        {
            File.Delete(restored);
        }
    }

    public void Dispose() => _work.Dispose();

    private async Task<GuestPassage> MigrateAsync(QemuMachine source, QemuMachine destination, string uri, GuestPace pace)
    {
        SerialOutput there = new(destination.Serial!, BytesPerCharacter(pace));
        SerialOutput here = new(source.Serial!, BytesPerCharacter(pace));
        DateTimeOffset settled = await here.FirstAsync(Deadlines.Start) + GuestPlan.Settling;
        await Task.Delay(GuestPlan.Settling + TimeSpan.FromSeconds(_plan.BeforeSeconds));

        int from = source.Monitor.Events.Count;
        DateTimeOffset begin = DateTimeOffset.UtcNow;
        double before = here.Writes.RateBetween(settled, begin) ?? throw new InvalidOperationException("the guest of QEMU writes nothing to COM1");
        await source.StartMigrationAsync(uri);
        MigrationOutcome? outcome = await OutcomeAsync(source, from);
        if (outcome is null)
        {
            DateTimeOffset end = DateTimeOffset.UtcNow;
            return new GuestPassage
            {
                Contestant = GuestContestant.Qemu,
                Rate = pace.Rate,
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
            Rate = pace.Rate,
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

    private async Task<GuestPace> MeasureAsync(GuestPace pace)
    {
        await using QemuMachine machine = await StartAsync("calibration", _work.File("source.ram"), pace);
        SerialOutput output = new(machine.Serial!, BytesPerCharacter(pace));
        DateTimeOffset settled = await output.FirstAsync(Deadlines.Start) + (GuestPlan.Settling / 2);
        await Task.Delay((GuestPlan.Settling / 2) + s_calibration);
        double reached = output.Writes.RateBetween(settled, output.Writes.LastAt(DateTimeOffset.UtcNow)!.Value)
            ?? throw new InvalidOperationException("the guest of QEMU writes too little to COM1 to be measured");
        return pace with { Reached = reached };
    }

    private Task<QemuMachine> StartAsync(string name, string memory, GuestPace pace, string? incoming = null)
    {
        string image = _work.File($"{name}.boot");
        const uint First = (uint)GuestPlan.FirstMebibyte << 20;
        DirtyingGuest.WriteImage(image, First, First + (_plan.WorkingSetPages * DirtyingGuest.PageSize), pace.Delay, pace.PagesPerCharacter);
        return QemuMachine.StartAsync(
            new QemuOptions(name, "pc", _plan.Mebibytes) { MemoryFile = memory, BootImage = image, Incoming = incoming, Paused = false });
    }

    private static long BytesPerCharacter(GuestPace pace) => (long)pace.PagesPerCharacter * DirtyingGuest.PageSize;
}
