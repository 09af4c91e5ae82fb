using System.Diagnostics;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// `rdmamig send` over RDMA that does not succeed, some sixty times: the destination is killed or cancelled at a random moment, killed at the end, refuses the
/// machine or does not answer, or the user interrupts. The sender ends soon, says what happened, holds up nothing, and the next one succeeds.
/// </summary>
[Trait("needs", "rdma")]
public sealed partial class SendEndingsTests : ReceiverTests
{
    private const int Seed = 20261124;
    private const int Mebibytes = 32;

    /// <summary>RAM takes more than two and a half seconds; the moments lie in the first two.</summary>
    private const string Bandwidth = "12M";

    private const int LatestMilliseconds = 2000;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sender_ends_within_5_seconds_when_its_destination_is_killed(bool pinAll)
    {
        string capture = await CaptureAsync();
        VerbsObjects before = await VerbsObjects.OfAllAsync();
        Random random = new(Seed);
        for (int i = 0; i < 10; i++)
        {
            await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), Work.File("killed"), ["--once"]);
            await using RdmamigProcess sender = await StartAsync(capture, receiver.Uri, pinAll, returnPath: i % 2 == 0);
            await MomentAsync(random);

            receiver.Process.KillNow();

            await EndsAsLostAsync(sender, Stopwatch.GetTimestamp());
        }

        await NothingIsHeldAsync(before);
        await NextSendWorksAsync(capture, pinAll);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sender_ends_within_5_seconds_when_its_destination_QEMU_is_killed(bool pinAll)
    {
        string capture = await CaptureAsync();
        Random random = new(Seed);
        for (int i = 0; i < 2; i++)
        {
            await using QemuMachine destination = await StartDestinationAsync("pc", Mebibytes);
            await using RdmamigProcess sender = await StartAsync(capture, await destination.ListenAsync(RdmaAddress.NextUri()), pinAll);
            await MomentAsync(random);

            destination.Process.KillNow();

            await EndsAsLostAsync(sender, Stopwatch.GetTimestamp());
        }
    }

    [Fact]
    public async Task Sender_fails_or_is_told_of_success_when_the_destination_is_killed_after_RAM()
    {
        string capture = await CaptureAsync();
        string file = Work.File("killed");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), file, ["--once"]);
        await using RdmamigProcess sender = await StartAsync(capture, receiver.Uri, pinAll: false, returnPath: true, isLimited: false);
        await EndOfRamAsync(sender);

        receiver.Process.KillNow();

        long killed = Stopwatch.GetTimestamp();
        if ((await sender.ResultAsync()).Completed)
        {
            Assert.True((await EndsAsync(sender, killed, exitCode: 0)).Confirmed);
            Restoration.AreTheSame(capture, file);
        }
        else
        {
            await EndsAsLostAsync(sender, killed, LostAtTheEnd());
        }
    }

    [Fact]
    public async Task Sender_ends_within_5_seconds_when_the_destination_is_killed_unconfirmed()
    {
        string capture = await CaptureAsync();
        using Socket deaf = Listen(Work.File("deaf"));
        await using RdmamigProcess destination = await StartSilentDestinationAsync();
        await using RdmamigProcess sender = await StartAsync(capture, destination.Uri, pinAll: true, returnPath: true, isLimited: false);
        await sender.Events.FirstAsync(IsConfirming, 0, Deadlines.Migration, "a sender that has sent everything");

        destination.Process.KillNow();

        await EndsAsLostAsync(sender, Stopwatch.GetTimestamp(), LostAtTheEnd());
    }

    [Fact]
    public async Task Sender_waits_as_long_as_the_user_says_for_a_silent_destination()
    {
        string capture = await CaptureAsync();
        using Socket deaf = Listen(Work.File("deaf"));
        await using RdmamigProcess destination = await StartSilentDestinationAsync();
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, destination.Uri, ["--confirm-timeout", "2"]);
        QmpEvent ram = await EndOfRamAsync(sender);

        ReceiveResult result = await sender.ResultAsync();

        Measured($"{(result.Time - ram.Time).TotalMilliseconds:0} ms: {result.ErrorClass}: {result.Error}");
        Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal(("failed", "Timeout"), (result.Status, result.ErrorClass));
        Assert.Contains("within 2 s", result.Error, StringComparison.Ordinal);
        Assert.Contains("did not confirm", result.Error, StringComparison.Ordinal);
        Assert.InRange(result.Time - ram.Time, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(2) + s_soon);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sender_ends_within_5_seconds_when_its_destination_is_cancelled(bool pinAll)
    {
        string capture = await CaptureAsync();
        VerbsObjects before = await VerbsObjects.OfAllAsync();
        Random random = new(Seed);
        for (int i = 0; i < 4; i++)
        {
            await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), Work.File("cancelled"), ["--once"]);
            await using RdmamigProcess sender = await StartAsync(capture, receiver.Uri, pinAll, returnPath: i % 2 == 0);
            await MomentAsync(random);
            long cancelled = Stopwatch.GetTimestamp();

            await receiver.SignalAsync("INT");

            await EndsAsLostAsync(sender, cancelled, LostOrTold());
            Assert.Equal(130, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        }

        await NothingIsHeldAsync(before);
        await NextSendWorksAsync(capture, pinAll);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Interrupted_sender_ends_with_130_and_the_destination_takes_the_next(bool pinAll)
    {
        string capture = await CaptureAsync();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"));
        await NextSendWorksAsync(capture, pinAll, receiver);
        Holdings before = await Holdings.OfAsync(receiver.Process.Id);
        string[] open = OpenFiles.Of(receiver.Process.Id);
        int from = receiver.Events.Count;
        Random random = new(Seed);
        for (int i = 0; i < 10; i++)
        {
            await using RdmamigProcess sender = await StartAsync(capture, receiver.Uri, pinAll, returnPath: i % 2 == 0);
            await MomentAsync(random);

            await sender.SignalAsync("INT");

            ReceiveResult result = await EndsAsync(sender, Stopwatch.GetTimestamp(), exitCode: 130);
            Assert.Equal(("cancelled", "Cancelled"), (result.Status, result.ErrorClass));
        }

        Holdings after = await Holdings.SettledAsync(receiver.Process.Id, before);
        Assert.Equal(before.Verbs, after.Verbs);
        Assert.Equal((before.Process.MigrationThreads, 0), (after.Process.MigrationThreads, after.Process.RamMappings));
        Assert.Equal(open, OpenFiles.Of(receiver.Process.Id));
        QmpEvent[] results = [.. receiver.Events.Snapshot().Skip(from).Where(e => e.Name == "RESULT")];
        Assert.NotEmpty(results);
        Assert.All(results, e => Assert.Equal("failed", e.Status));
        await NextSendWorksAsync(capture, pinAll, receiver);
    }

    [Theory]
    [InlineData("pc", 2 * Mebibytes, "a RAM size other than 32 MiB ('ram0')", "Size mismatch: ram0")]
    [InlineData("q35", Mebibytes, "a machine type other than 'pc-i440fx-", "Machine type received is 'pc-i440fx-")]
    public async Task QEMU_that_is_another_machine_ends_the_sender_with_what_to_look_for(string machineType, int mebibytes, string said, string reason)
    {
        string capture = await CaptureAsync();
        foreach (bool pinAll in (bool[])[false, true])
        {
            await using QemuMachine destination = await StartDestinationAsync(machineType, mebibytes);
            await using RdmamigProcess sender = await StartAsync(capture, await destination.ListenAsync(RdmaAddress.NextUri()), pinAll, isLimited: false);
            await EndsAsRefusedAsync(sender, said, destination, reason);
        }
    }

    [Fact]
    public async Task Nothing_is_claimed_when_QEMU_refuses_a_device_version()
    {
        const string Reason = "unsupported version 99 for 'cpu_common'";
        string capture = await CaptureAsync();
        SetVersion(capture, "cpu_common", 99);
        await using (QemuMachine destination = await StartDestinationAsync("pc", Mebibytes))
        {
            await SendAsync(capture, await destination.ListenAsync(RdmaAddress.NextUri()), "dynamic", confirmed: false, returnPath: false);
            await SaysAsync(destination, Reason);
        }

        await using (QemuMachine destination = await StartDestinationAsync("pc", Mebibytes))
        {
            await destination.SetCapabilitiesAsync(("postcopy-ram", true));
            await using RdmamigProcess sender = await StartAsync(
                capture, await destination.ListenAsync(RdmaAddress.NextUri()), pinAll: false, returnPath: true, isLimited: false);
            await EndsAsRefusedAsync(sender, "or a QEMU too old for that machine", destination, Reason);
        }
    }

    /// <summary>A connection that was there ended.</summary>
    [GeneratedRegex("^(the destination \\S+ closed the connection|the device of \\S+ rejected an access).*(bytes of RAM|before it took any RAM)")]
    private static partial Regex Lost();

    /// <summary>The same, behind RAM.</summary>
    [GeneratedRegex("^the destination \\S+ closed the connection (while device state was sent|after everything was sent)")]
    private static partial Regex LostAtTheEnd();

    /// <summary>The same amid RAM, or with the destination's word for it, if the way back still took that.</summary>
    [GeneratedRegex(
        "^(the destination \\S+ (closed the connection|reported a failure)|the device of \\S+ rejected an access).*(bytes of RAM|before it took any RAM)")]
    private static partial Regex LostOrTold();

    /// <summary>The destination was gone before there was one, or there was one of two.</summary>
    [GeneratedRegex(
        "^((the destination did not accept the return path's connection; .*)?cannot connect to rdma:"
        + "|the destination did not accept the return path's connection: \\S+ disconnected$)")]
    private static partial Regex NotReached();

    private static string[] Options(bool pinAll) => pinAll ? ["--pin-all"] : [];

    /// <summary>Not a wait for anything: the moment itself is the thing that varies.</summary>
    private static async Task MomentAsync(Random random) => await Task.Delay(random.Next(LatestMilliseconds));

    /// <summary>Starts to send; when this returns, the sender is at work.</summary>
    private static async Task<RdmamigProcess> StartAsync(string capture, string uri, bool pinAll, bool returnPath = false, bool isLimited = true)
    {
        string[] way = returnPath ? ["--return-path"] : [];
        string[] limit = isLimited ? ["--max-bandwidth", Bandwidth] : [];
        RdmamigProcess sender = RdmamigProcess.Send(capture, uri, [.. Options(pinAll), .. way, .. limit]);
        await sender.Events.FirstAsync(_ => true, 0, Deadlines.Start, "an event");
        return sender;
    }

    private static Task<QmpEvent> EndOfRamAsync(RdmamigProcess sender) =>
        sender.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "device" }, 0, Deadlines.Migration, "the end of RAM");

    private static async Task<ReceiveResult> EndsAsync(RdmamigProcess sender, long since, int exitCode)
    {
        int code = await sender.Process.WaitForExitAsync(Deadlines.Answer);
        TimeSpan after = Stopwatch.GetElapsedTime(since);
        ReceiveResult result = await sender.ResultAsync();
        Measured($"{after.TotalMilliseconds:0} ms: {result.ErrorClass}: {result.Error}");
        Assert.Equal(exitCode, code);
        Assert.InRange(after, TimeSpan.Zero, s_soon);
        return result;
    }

    private static async Task EndsAsLostAsync(RdmamigProcess sender, long since, Regex? lost = null)
    {
        ReceiveResult result = await EndsAsync(sender, since, exitCode: 1);
        Assert.Equal("failed", result.Status);
        Assert.Matches(result.ErrorClass == "Unreachable" ? NotReached() : lost ?? Lost(), result.Error);
        string told = result.Error.Contains("(SHUT 1)", StringComparison.Ordinal) ? "Refused" : "Disconnected";
        Assert.Contains(result.ErrorClass, (string[])["Unreachable", told]);
        Assert.Contains(RdmaAddress.V4.ToString(), result.Error, StringComparison.Ordinal);
    }

    /// <summary>QEMU does not say that it refuses: it closes, with a return path too.</summary>
    private static async Task EndsAsRefusedAsync(RdmamigProcess sender, string said, QemuMachine destination, string reason)
    {
        Task<long> refused = EndOfAsync(destination.Process);
        long ended = await EndOfAsync(sender.Process);
        TimeSpan after = Stopwatch.GetElapsedTime(await refused, ended);
        ReceiveResult result = await sender.ResultAsync();
        Measured($"{after.TotalMilliseconds:0} ms after QEMU: {result.ErrorClass}: {result.Error}");
        Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal(("failed", "Disconnected"), (result.Status, result.ErrorClass));
        Assert.Contains(said, result.Error, StringComparison.Ordinal);
        Assert.InRange(after, TimeSpan.MinValue, s_soon);
        await SaysAsync(destination, reason);
    }

    private static async Task<long> EndOfAsync(ChildProcess process)
    {
        await process.WaitForExitAsync(Deadlines.Migration);
        return Stopwatch.GetTimestamp();
    }

    private static bool IsConfirming(QmpEvent progress) => progress.Name == "PROGRESS" && progress.Values.GetProperty("phase").GetString() == "confirming";

    private static Socket Listen(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen();
        return socket;
    }

    /// <summary>QEMU has ended for the very reason that the test is about.</summary>
    private static async Task SaysAsync(QemuMachine destination, string reason)
    {
        await destination.Process.WaitForExitAsync(Deadlines.Answer);
        Assert.Contains(reason, destination.Process.Errors, StringComparison.Ordinal);
    }

    /// <summary>What the stack of RDMA holds for all processes together.</summary>
    private static async Task NothingIsHeldAsync(VerbsObjects before)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        VerbsObjects after;
        do
        {
            after = await VerbsObjects.OfAllAsync();
        }
        while (after != before && !deadline.IsCancellationRequested);
        Assert.Equal(before, after);
    }

    /// <summary>Writes another version_id into the header of a device's section, behind the section's name and its instance_id.</summary>
    private static void SetVersion(string capture, string device, byte version)
    {
        byte[] bytes = File.ReadAllBytes(capture);
        byte[] name = [(byte)device.Length, .. System.Text.Encoding.ASCII.GetBytes(device)];
        int at = bytes.AsSpan().LastIndexOf(name) + name.Length + 7;
        bytes[at] = version;
        File.WriteAllBytes(capture, bytes);
    }

    private async Task NextSendWorksAsync(string capture, bool pinAll, RdmamigProcess? receiver = null)
    {
        await using RdmamigProcess? own = receiver is null ? await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), Work.File("next"), ["--once"]) : null;
        string uri = (receiver ?? own!).Uri;
        await SendAsync(capture, uri, pinAll ? "pin-all" : "dynamic", confirmed: true, returnPath: true, ["--return-path", .. Options(pinAll)]);
    }

    /// <summary>A destination that takes everything and then neither closes nor speaks: a relay whose own destination reads nothing.</summary>
    private Task<RdmamigProcess> StartSilentDestinationAsync() => RdmamigProcess.RelayAsync(RdmaAddress.NextUri(), $"unix:{Work.File("deaf")}", "--once");

    private Task<QemuMachine> StartDestinationAsync(string machineType, int mebibytes) => QemuMachine.StartAsync(
        new QemuOptions("destination", machineType, mebibytes) { MemoryFile = Work.File("destination.ram"), Incoming = "defer" });

    private async Task<string> CaptureAsync()
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", Mebibytes, halfZero: false);
        await source.DisposeAsync();
        return capture;
    }
}
