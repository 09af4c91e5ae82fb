using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>kill -9 of the source at random moments.</summary>
[Trait("needs", "rdma")]
public sealed class KilledSourceTests : ReceiverTests
{
    private const int Migrations = 100;

    /// <summary>The last of them completes, and is over when it says so; one that fails says so before it lets go of what it held.</summary>
    private const int WarmUp = 11;

    /// <summary>So many that their medians' ratio is firm: of twenty it was 1.26 and 0.98 in two runs of the same program.</summary>
    private const int Pairs = 60;

    private const int Mebibytes = 64;

    [Fact]
    public async Task A_hundred_migrations_of_which_fifty_are_killed_leave_nothing_behind()
    {
        Random random = new(20261122);
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"));
        Holdings? before = null;
        Task<QemuMachine> next = StartSourceAsync("pc", 8);
        try
        {
            for (int i = 0; i < Migrations; i++)
            {
                // The next source starts while this one migrates.
                await using QemuMachine source = await next;
                next = StartSourceAsync("pc", 8);
                if (i % 2 == 0)
                {
                    File.Delete((await receiver.TakeAsync(source)).Result.File);
                }
                else
                {
                    await KillAsync(receiver, source, random);
                }

                File.Delete(source.Options.MemoryFile);
                if (i == WarmUp - 1)
                {
                    before = await Holdings.OfAsync(receiver.Process.Id);
                }
            }

            Holdings after = await Holdings.SettledAsync(receiver.Process.Id, before!);
            Measured($"after {WarmUp}: {before}");
            Measured($"after {Migrations}: {after}");
            Assert.Equal(before!.Verbs, after.Verbs);
            Assert.Equal(before.Process.Files, after.Process.Files);
            Assert.Equal(before.Process.MigrationThreads, after.Process.MigrationThreads);
            Assert.Equal(0, after.Process.RamMappings);
            // The thread pool and the collector breathe; a leak of one a migration is 89 of each.
            Assert.InRange(after.Process.Threads, 0, before.Process.Threads + 4);
            Assert.InRange(after.Process.Mappings, 0, before.Process.Mappings + 40);
            Assert.InRange(after.ResidentBytes, 0, before.ResidentBytes + (24 << 20));
            Assert.Empty(Directory.EnumerateFileSystemEntries(Work.File("captures")));
        }
        finally
        {
            await (await next).DisposeAsync();
        }

        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task A_killed_source_is_held_within_5_ms_and_said_as_soon_as_by_a_destination_QEMU()
    {
        Random random = new(5);
        List<KillLatency> rdmamig = [];
        List<KillLatency> qemu = [];
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"));
        for (int i = 0; i < Pairs; i++)
        {
            TimeSpan moment = RandomMoment(random);
            await using (QemuMachine source = await StartSourceAsync("pc", Mebibytes, halfZero: false))
            {
                rdmamig.Add(await KillToError.OfRdmamigAsync(receiver, source, moment));
                File.Delete(source.Options.MemoryFile);
            }

            await using (QemuMachine source = await StartSourceAsync("pc", Mebibytes, halfZero: false))
            {
                qemu.Add(await KillToError.OfQemuAsync(source, Work.File("destination.ram"), moment));
                File.Delete(source.Options.MemoryFile);
            }

            Measured($"killed {moment.TotalMilliseconds:0} ms into it: rdmamig {rdmamig[^1]}, QEMU {qemu[^1]}");
        }

        double latency = Median.Of(rdmamig.Select(r => r.Latency!.Value));
        double ratio = Median.Of(rdmamig.Select(r => r.ToError)) / Median.Of(qemu.Select(q => q.ToError));
        Measured($"medians of {Pairs}: event to receive thread {latency:0.000} ms; kill to error: "
            + $"rdmamig {Median.Of(rdmamig.Select(r => r.ToError)):0.0} ms, QEMU {Median.Of(qemu.Select(q => q.ToError)):0.0} ms, ratio {ratio:0.00}; "
            + $"read here after {Median.Of(rdmamig.Select(r => r.ToReader)):0.0} and {Median.Of(qemu.Select(q => q.ToReader)):0.0} ms");
        Assert.InRange(latency, 0, 5);
        Assert.InRange(ratio, 0, 1.2);
        await NextMigrationWorksAsync(receiver);
    }

    private static async Task KillAsync(RdmamigProcess receiver, QemuMachine source, Random random)
    {
        await source.SetLimitsAsync(4 << 20);
        int from = receiver.Events.Count;
        await source.StartMigrationAsync(receiver.Uri);
        await receiver.Events.FirstAsync(e => e.Name == "MIGRATION", from, Deadlines.Migration, "a connection");
        // Not a wait for anything: the moment itself is the thing that varies.
        await Task.Delay(TimeSpan.FromMilliseconds(random.Next(600)));
        source.Process.KillNow();
        ReceiveResult result = await receiver.ResultAsync(from);
        Assert.Equal("failed", result.Status);
        Assert.NotEmpty(result.Error);
    }

    private static TimeSpan RandomMoment(Random random) => TimeSpan.FromMilliseconds(50 + random.Next(700));
}
