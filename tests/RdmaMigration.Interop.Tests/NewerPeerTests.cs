using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// Round trips with the QEMU of a newer Debian release: QEMU → rdmamig receive → file → rdmamig send → QEMU. The same proof as for the host's own QEMU.
/// </summary>
public sealed class NewerPeerTests : ReceiverTests
{
    private const int Mebibytes = 64;

    /// <summary>Every release that is there, with the two machine types.</summary>
    public static TheoryData<string, string, bool> RoundTrips()
    {
        TheoryData<string, string, bool> rows = [];
        foreach (Peer peer in Peer.All())
        {
            rows.Add(peer.Release, "pc", false);
            rows.Add(peer.Release, "q35", true);
        }

        return rows;
    }

    [Theory]
    [Trait("needs", "rdma")]
    [MemberData(nameof(RoundTrips))]
    public async Task A_machine_goes_from_a_newer_QEMU_to_a_file_and_back_over_RDMA(string release, string machineType, bool pinAll)
    {
        await using QemuMachine source = await StartNewerSourceAsync(release, machineType);
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));

        ReceiveResult captured = await CaptureAsync(source, RdmaAddress.NextUri());

        Assert.Equal(pinAll ? "pin-all" : "dynamic", captured.Mode);
        await Restoration.IsIdenticalAsync(source, captured.File, Work, options => QemuMachine.TakeAsync(
            options,
            RdmaAddress.NextUri(),
            uri => SendAsync(captured.File, uri, captured.Mode, confirmed: false, returnPath: false, pinAll ? ["--pin-all"] : [])));
    }

    [Theory]
    [Trait("needs", "qemu")]
    [MemberData(nameof(RoundTrips))]
    public async Task A_machine_goes_from_a_newer_QEMU_to_a_file_and_back_over_tcp(string release, string machineType, bool returnPath)
    {
        await using QemuMachine source = await StartNewerSourceAsync(release, machineType);
        await source.SetCapabilitiesAsync(("return-path", returnPath));

        ReceiveResult captured = await CaptureAsync(source, "tcp:127.0.0.1:0");

        Assert.Equal(("stream", returnPath), (captured.Mode, captured.ReturnPath));
        await Restoration.IsIdenticalAsync(source, captured.File, Work, options => QemuMachine.TakeAsync(
            options, "tcp:127.0.0.1:0", uri => SendAsync(captured.File, uri, "stream", confirmed: true, returnPath: true)));
    }

    /// <summary>Machine types of each kind: acknowledged when the source waits, acknowledged at once, and of 11.1 not at all.</summary>
    public static TheoryData<string, string> MachineTypes()
    {
        TheoryData<string, string> rows = [];
        foreach (Peer peer in Peer.All())
        {
            rows.Add(peer.Release, "pc-i440fx-7.2");
            rows.Add(peer.Release, "pc-i440fx-9.2");
            rows.Add(peer.Release, "pc");
        }

        return rows;
    }

    [Theory]
    [Trait("needs", "qemu")]
    [MemberData(nameof(MachineTypes))]
    public async Task A_running_machine_with_switchover_ack_switches_over_whatever_its_machine_type(string release, string machineType)
    {
        await using QemuMachine source = await StartNewerSourceAsync(release, machineType, isRunning: true);
        await source.SetCapabilitiesAsync(("return-path", true), ("switchover-ack", true));
        await source.SetLimitsAsync(RdmaAddress.Unlimited, downtimeMilliseconds: 300);

        ReceiveResult captured = await CaptureAsync(source, "tcp:127.0.0.1:0");

        Assert.True(captured.ReturnPath);
    }

    private async Task<ReceiveResult> CaptureAsync(QemuMachine source, string uri)
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(uri, Work.File("captured"), ["--once"]);
        (MigrationOutcome outcome, ReceiveResult result) = await receiver.TakeAsync(source);
        Assert.Equal(0, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Measured($"{result.Machine} {result.Mode}: source {outcome.TotalTime.TotalMilliseconds} ms, rdmamig {result.TotalMilliseconds} ms");
        return result;
    }

    private async Task<QemuMachine> StartNewerSourceAsync(string release, string machineType, bool isRunning = false)
    {
        Peer peer = new(release);
        Assert.SkipUnless(peer.Exists, peer.HowToMake);
        QemuMachine source = await StartSourceAsync(peer.Run(NewMachine(machineType, Mebibytes) with { Paused = !isRunning }));
        JsonElement version = (await source.Monitor.ExecuteAsync("query-version")).GetProperty("qemu");
        Assert.True(version.GetProperty("major").GetInt32() >= 10, $"{release} runs QEMU {version.GetRawText()}");
        return source;
    }
}
