using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A second source that connects while a migration runs never takes its machine for arrived when it is not.</summary>
[Trait("needs", "qemu")]
public sealed class SecondSourceTests : ReceiverTests
{
    /// <summary>The Debian release whose QEMU CI tests against. An empty one stands for this host's QEMU.</summary>
    private const string Newer = "trixie";

    [Theory]
    [InlineData("", "tcp:127.0.0.1:0")]
    [InlineData("", "unix:")]
    [InlineData(Newer, "tcp:127.0.0.1:0")]
    [InlineData(Newer, "unix:")]
    public async Task Where_one_machine_is_taken_others_fail_and_keep_theirs(string release, string uri)
    {
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(uri == "unix:" ? uri + Work.File("socket") : uri, file);
        (QemuMachine first, int from) = await StartSlowMigrationAsync(release, receiver);
        await using QemuMachine running = first;
        await RamComesAsync(receiver);

        await using QemuMachine second = await StartZeroSourceAsync(release);
        for (int attempt = 0; attempt < 50; attempt++)
        {
            Assert.Equal("failed", (await second.MigrateAsync(receiver.Uri)).Status);

            // A machine that was paused before is not let try again.
            await second.ContinueAsync();
            Assert.Equal("running", await second.RunStateAsync());
            await second.Monitor.ExecuteAsync("stop");
        }

        await first.SetLimitsAsync(RdmaAddress.Unlimited);
        Assert.Equal("completed", (await first.MigrationOutcomeAsync(from)).Status);
        Assert.True((await receiver.ResultAsync()).Completed);
        Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        await Restoration.IsIdenticalAsync(first, file, Work);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Newer)]
    public async Task A_machine_that_waited_behind_another_is_saved_before_a_signal_ends(string release)
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", NewFolder("captures"));
        (QemuMachine first, int from) = await StartSlowMigrationAsync(release, receiver);
        await using QemuMachine running = first;
        await RamComesAsync(receiver);
        await using QemuMachine second = await StartZeroSourceAsync(release);
        Assert.Equal("completed", (await second.MigrateAsync(receiver.Uri)).Status);
        (QemuMachine third, int thirdFrom) = await StartSlowMigrationAsync(release, receiver);
        await using QemuMachine waiting = third;

        await receiver.SignalAsync("TERM");

        Assert.Equal(130, await receiver.Process.WaitForExitAsync(Deadlines.Migration));
        Assert.Equal("failed", (await first.MigrationOutcomeAsync(from)).Status);
        Assert.Equal("failed", (await third.MigrationOutcomeAsync(thirdFrom)).Status);
        string[] saved = Directory.GetFiles(Work.File("captures"));
        Assert.True(saved.Length == 1, receiver.Process.Errors);
        await Restoration.IsIdenticalAsync(second, saved[0], Work);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_receiver_out_of_descriptors_takes_or_resets_a_source_later(bool takesMany)
    {
        string to = takesMany ? NewFolder("captures") : Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", to);
        await using QemuMachine source = takesMany ? await StartZeroSourceAsync() : await StartSourceAsync("pc", 64);
        string process = receiver.Process.Id.ToString(CultureInfo.InvariantCulture);
        HashSet<string> open = [.. Directory.EnumerateFiles($"/proc/{process}/fd").Select(path => Path.GetFileName(path)!)];
        int limit = Enumerable.Range(0, 4096).First(number => !open.Contains(number.ToString(CultureInfo.InvariantCulture)));
        await LimitFilesAsync(process, limit);

        int from = source.Monitor.Events.Count;
        await source.StartMigrationAsync(receiver.Uri);
        MigrationOutcome outcome = await source.MigrationOutcomeAsync(from);
        for (int i = 0; i < 100 && !receiver.Process.Errors.Contains("cannot accept connections", StringComparison.Ordinal); i++)
        {
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        Assert.Contains("cannot accept connections", receiver.Process.Errors, StringComparison.Ordinal);
        await LimitFilesAsync(process, 4096);

        if (takesMany)
        {
            // It waited for as long as it took.
            Assert.Equal("completed", outcome.Status);
            Assert.True((await receiver.ResultAsync()).Completed);
        }
        else
        {
            // Reset, or refused; it tries again until the receiver listens again.
            for (int i = 0; i < 100 && outcome.Status is not "completed"; i++)
            {
                await Task.Delay(100, TestContext.Current.CancellationToken);
                await source.ContinueAsync();
                outcome = await source.MigrateAsync(receiver.Uri);
            }

            Assert.True(outcome.Status == "completed", $"{outcome}: {receiver.Process.Errors}");
            Assert.True((await receiver.ResultAsync()).Completed);
        }
    }

    private static async Task LimitFilesAsync(string process, int limit) =>
        Assert.Equal(
            0, (await ChildProcess.RunAsync("prlimit", "--pid", process, string.Create(CultureInfo.InvariantCulture, $"--nofile={limit}:4096"))).ExitCode);

    /// <summary>A migration that goes on for long, and its source's number of events before it.</summary>
    private async Task<(QemuMachine Source, int From)> StartSlowMigrationAsync(string release, RdmamigProcess receiver)
    {
        QemuMachine source = await StartSourceAsync(NewMachine(release, "pc", 64), halfZero: false);
        await source.SetLimitsAsync(4 << 20);
        int from = source.Monitor.Events.Count;
        await source.StartMigrationAsync(receiver.Uri);
        return (source, from);
    }

    /// <summary>A machine whose whole stream fits into a socket's buffers.</summary>
    private async Task<QemuMachine> StartZeroSourceAsync(string release = "")
    {
        QemuMachine source = await StartSourceAsync(NewMachine(release, "pc", 8));
        await using FileStream ram = File.OpenWrite(source.Options.MemoryFile);
        ram.SetLength(0);
        ram.SetLength(8 << 20);
        return source;
    }

    private static async Task RamComesAsync(RdmamigProcess receiver) => await receiver.Events.FirstAsync(
        e => e.Name == "PROGRESS" && e.Values.GetProperty("ram").GetProperty("transferred").GetInt64() > 0, 0, Deadlines.Migration, "PROGRESS");
}
