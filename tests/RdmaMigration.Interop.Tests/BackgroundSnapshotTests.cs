using System.IO.Compression;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// A file that QEMU 7.2 wrote with capability background-snapshot, so without an END section of "ram", goes through rdmamig into a QEMU over the channels that
/// need no RDMA.
/// </summary>
[Trait("needs", "qemu")]
public sealed class BackgroundSnapshotTests : ReceiverTests
{
    private const string Recording = "background-snapshot-7.2.mig.gz";

    [Theory]
    [InlineData("tcp:127.0.0.1:0")]
    [InlineData("unix:")]
    public async Task QEMU_has_the_machine_of_a_background_snapshot_that_was_sent(string incoming)
    {
        string snapshot = await UnpackAsync();
        string direct = Work.File("direct");
        string sent = Work.File("sent");
        await RestoreAsync("exec", $"exec:cat '{snapshot}'", static _ => Task.CompletedTask, direct);

        await RestoreAsync(
            "sent",
            incoming == "unix:" ? incoming + Work.File("socket") : incoming,
            uri => SendAsync(snapshot, uri, "stream", confirmed: true, returnPath: true),
            sent);

        Restoration.AreTheSame(direct, sent);
    }

    [Fact]
    public async Task QEMU_starts_from_a_background_snapshot_that_was_received_over_a_socket()
    {
        string snapshot = await UnpackAsync();
        string captured = Work.File("captured");
        await using (RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"unix:{Work.File("receiver")}", captured, ["--once"]))
        {
            await SendAsync(snapshot, receiver.Uri, "stream", confirmed: true, returnPath: true);
            Assert.True((await receiver.ResultAsync()).Completed);
        }

        string direct = Work.File("direct");
        string restored = Work.File("restored");
        await RestoreAsync("direct", $"exec:cat '{snapshot}'", static _ => Task.CompletedTask, direct);
        await RestoreAsync("captured", $"exec:cat '{captured}'", static _ => Task.CompletedTask, restored);
        Restoration.AreTheSame(direct, restored);
    }

    /// <summary>Has a QEMU take the machine, and write it into a file again.</summary>
    private static async Task RestoreAsync(string name, string incoming, Func<string, Task> send, string onward)
    {
        QemuOptions options = new(name, "pc-i440fx-7.2", 32) { MemoryFile = "", HasPlainRam = true };
        await using QemuMachine machine = await QemuMachine.TakeAsync(options, incoming, send);
        Assert.Equal("completed", (await machine.MigrateAsync($"exec:cat > '{onward}'")).Status);
    }

    private async Task<string> UnpackAsync()
    {
        string path = Work.File("snapshot");
        await using Stream packed = typeof(BackgroundSnapshotTests).Assembly.GetManifestResourceStream(Recording)!;
        await using GZipStream stream = new(packed, CompressionMode.Decompress);
        await using FileStream file = File.Create(path);
        await stream.CopyToAsync(file);
        return path;
    }
}
