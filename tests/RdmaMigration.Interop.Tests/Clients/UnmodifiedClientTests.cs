using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>QEMU's own clients, from Debian and unmodified, drive QEMU and `rdmamig serve` with one script: move.py.</summary>
[Trait("needs", "qemu")]
public sealed class UnmodifiedClientTests : ReceiverTests
{
    private const string Shell = "qmp-shell";

    private static readonly Peer s_peer = new("trixie");

    [Theory]
    [InlineData("qemu.qmp")]
    [InlineData(Shell)]
    public async Task QEMU_to_QEMU_to_service_to_service_to_QEMU_has_the_machine(string client)
    {
        NeedsClients();
        File.Copy(Path.Combine(Executables.RepositoryRoot, "tests", "RdmaMigration.Interop.Tests", "Clients", "move.py"), Work.File("move.py"));
        await using QemuMachine first = await StartSourceAsync(NewMachine("pc", 64).WithSocket(Work.File("first.qmp")));
        await using QemuMachine second = await StartWaitingAsync("second.qmp");
        await using ServeProcess third = await ServeProcess.StartAsync("--incoming", "defer");
        await using ServeProcess fourth = await ServeProcess.StartAsync("--incoming", "defer");
        await using QemuMachine last = await StartWaitingAsync("last.qmp");

        await MoveAsync(client, Work.File("first.qmp"), Work.File("second.qmp"), "tcp:127.0.0.1:0");
        await MoveAsync(client, Work.File("second.qmp"), third.Socket, $"unix:{Work.File("third")}");
        await MoveAsync(client, third.Socket, fourth.Socket, "tcp:127.0.0.1:0");
        await MoveAsync(client, fourth.Socket, Work.File("last.qmp"), $"unix:{Work.File("last")}");

        Assert.Equal("postmigrate", await QmpMove.RunStateAsync(third.Monitor));
        await Restoration.HasArrivedAsync(first, last, Work);
    }

    private static void NeedsClients() => Assert.SkipUnless(s_peer.Has(Shell), s_peer.HowToMake);

    private Task<QemuMachine> StartWaitingAsync(string socket) =>
        QemuMachine.StartAsync((NewMachine("pc", 64) with { Incoming = "defer" }).WithSocket(Work.File(socket)));

    /// <summary>Moves the machine, which both monitors report.</summary>
    private async Task MoveAsync(string client, string source, string destination, string uri)
    {
        string output = await RunAsync("python3", Work.File("move.py"), client, source, destination, uri);
        using JsonDocument sides = JsonDocument.Parse(Assert.Single(output.Split('\n'), line => line.StartsWith('{')));
        foreach (string side in (string[])["source", "destination"])
        {
            string[] events = [.. sides.RootElement.GetProperty(side).EnumerateArray().Select(said => said.GetString()!)];
            Assert.Equal(["setup", "active", "completed"], events.Where(said => said is "setup" or "active" or "completed" or "failed"));
        }
    }

    [Fact]
    public async Task The_shell_of_the_human_monitor_shows_the_migration_of_a_service()
    {
        NeedsClients();
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");
        await QmpMove.TakeSmallMachineAsync(service, Work);
        await File.WriteAllTextAsync(Work.File("lines"), "info migrate\ninfo ramblock\n");

        string output = await RunAsync("sh", "-c", $"{Shell} -H {service.Socket} < {Work.File("lines")}");

        Assert.Matches(@"Status: +\t\tcompleted", output);
        Assert.Matches(@"(?m)^ +a +4 KiB", output);
    }

    /// <summary>Runs a program of the release, which must succeed. qmp-shell writes its history to HOME.</summary>
    private async Task<string> RunAsync(params string[] command)
    {
        (int exitCode, string output) = await s_peer.RunAsync(["env", $"HOME={Work.FullName}", .. command]);
        Assert.True(exitCode == 0, output);
        return output;
    }
}
