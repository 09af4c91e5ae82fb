using System.Diagnostics;
using RdmaMigration.Interop.Harness;

namespace RdmaMigration.Interop;

/// <summary>File → rdmamig → RDMA → a stock QEMU, or rdmamig: the machine that arrives is the one in the file, and what cannot be proven is not claimed.</summary>
[Trait("needs", "rdma")]
public sealed class SendTests : ReceiverTests
{
    [Theory]
    [InlineData("pc", false)]
    [InlineData("q35", false)]
    [InlineData("pc", true)]
    [InlineData("q35", true)]
    public async Task QEMU_has_the_machine_and_the_sender_does_not_claim_to_know(string machineType, bool pinAll)
    {
        (QemuMachine source, string capture) = await CaptureAsync(machineType, 64);
        await using (source)
        {
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(
                options, RdmaAddress.NextUri(), uri => SendAsync(capture, uri, Mode(pinAll), confirmed: false, returnPath: false, Options(pinAll))));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task QEMU_with_postcopy_ram_on_says_on_the_return_path_that_it_has_the_machine(bool pinAll)
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 64);
        await using (source)
        {
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(
                options,
                RdmaAddress.NextUri(),
                uri => SendAsync(capture, uri, Mode(pinAll), confirmed: true, returnPath: true, ["--return-path", .. Options(pinAll)]),
                ("postcopy-ram", true)));
        }
    }

    [Fact]
    public async Task A_machine_that_goes_from_file_to_QEMU_to_file_is_still_the_same()
    {
        (QemuMachine source, string first) = await CaptureAsync("q35", 64);
        string second = Work.File("second");
        await using (source)
        {
            await using QemuMachine between = await Restoration.StartLikeAsync(source, Work.File("between.ram"), Work, "between", options =>
                QemuMachine.TakeAsync(options, RdmaAddress.NextUri(), uri => SendAsync(first, uri, "dynamic", confirmed: false, returnPath: false)));
            await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), second, ["--once"]);
            await between.SetLimitsAsync(RdmaAddress.Unlimited);
            await receiver.TakeAsync(between);
        }

        Restoration.AreTheSame(first, second);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Between_two_rdmamigs_over_IPv6_the_return_path_proves_it(bool pinAll)
    {
        (QemuMachine source, string first) = await CaptureAsync("pc", 32);
        await source.DisposeAsync();
        string second = Work.File("second");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(
            $"rdma:[{RdmaMigration.Testing.RdmaAddress.V6}]:{RdmaAddress.NextPort()}", second, ["--once"]);

        await SendAsync(first, receiver.Uri, Mode(pinAll), confirmed: true, returnPath: true, ["--return-path", .. Options(pinAll)]);

        Assert.True((await receiver.ResultAsync()).Completed);
        Restoration.AreTheSame(first, second);
    }

    [Fact]
    public async Task A_destination_that_is_killed_ends_the_sender_within_5_seconds_and_the_next_send_works()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 128);
        await source.DisposeAsync();
        foreach (bool pinAll in (bool[])[false, true])
        {
            await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), Work.File("killed"), ["--once"]);
            await using RdmamigProcess sender = RdmamigProcess.Send(capture, receiver.Uri, Options(pinAll));
            await sender.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "active" }, 0, Deadlines.Migration, "MIGRATION active");
            await receiver.SignalAsync("KILL");
            long killed = Stopwatch.GetTimestamp();

            Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Answer));

            Assert.InRange(Stopwatch.GetElapsedTime(killed), TimeSpan.Zero, TimeSpan.FromSeconds(5));
            ReceiveResult result = await sender.ResultAsync();
            Assert.Equal(("failed", "Disconnected"), (result.Status, result.ErrorClass));
            Assert.Contains(RdmaAddress.Host.ToString(), result.Error, StringComparison.Ordinal);
        }

        await using RdmamigProcess next = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), Work.File("next"), ["--once"]);
        await SendAsync(capture, next.Uri, "dynamic", confirmed: true, returnPath: true, ["--return-path"]);
    }

    [Fact]
    public async Task A_sender_that_is_interrupted_ends_with_130_and_the_destination_fails()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 128);
        await source.DisposeAsync();
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), Work.File("cancelled"), ["--once"]);
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, receiver.Uri);
        await sender.Events.FirstAsync(e => e is { Name: "MIGRATION", Status: "active" }, 0, Deadlines.Migration, "MIGRATION active");

        await sender.SignalAsync("INT");

        Assert.Equal(130, await sender.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.Equal("cancelled", (await sender.ResultAsync()).Status);
        Assert.Equal("failed", (await receiver.ResultAsync()).Status);
    }

    [Fact]
    public async Task QEMU_with_another_RAM_size_is_refused_in_words()
    {
        (QemuMachine source, string capture) = await CaptureAsync("pc", 32);
        await using (source)
        {
            await using QemuMachine larger = await QemuMachine.StartAsync(source.Options with
            {
                Name = "larger", RamMebibytes = 64, MemoryFile = Work.File("larger.ram"), Incoming = "defer",
            });
            string uri = RdmaAddress.NextUri();
            await larger.Monitor.ExecuteAsync("migrate-incoming", new { uri });
            await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri);

            ReceiveResult result = await sender.ResultAsync();

            Assert.Equal(1, await sender.Process.WaitForExitAsync(Deadlines.Answer));
            Assert.Equal("failed", result.Status);
            Assert.Contains("RAM", result.Error, StringComparison.Ordinal);
        }
    }

    private static string Mode(bool pinAll) => pinAll ? "pin-all" : "dynamic";

    private static string[] Options(bool pinAll) => pinAll ? ["--pin-all"] : [];

    /// <summary>A stopped machine and its capture, which rdmamig received by RDMA.</summary>
    private Task<(QemuMachine Source, string Capture)> CaptureAsync(string machineType, int mebibytes) =>
        CaptureAsync(RdmaAddress.NextUri(), machineType, mebibytes);
}
