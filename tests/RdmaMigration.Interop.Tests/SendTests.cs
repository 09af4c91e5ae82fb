using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// File → rdmamig → RDMA → a stock QEMU, or rdmamig: the machine that arrives is the one in the file, and what cannot be proven is not claimed.
/// </summary>
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
    [InlineData(128, "64M")]
    [InlineData(32, "1M")]
    public async Task QEMU_has_a_machine_without_holes_with_windows_of_64_MiB_and_of_1_MiB(int mebibytes, string largest)
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", mebibytes, halfZero: false);
        await using (source)
        {
            await Restoration.IsIdenticalAsync(source, capture, Work, options => QemuMachine.TakeAsync(
                options,
                RdmaAddress.NextUri(),
                uri => SendAsync(capture, uri, "dynamic", confirmed: false, returnPath: false, largest == "64M" ? [] : ["--window", largest])));
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

    private static string Mode(bool pinAll) => pinAll ? "pin-all" : "dynamic";

    private static string[] Options(bool pinAll) => pinAll ? ["--pin-all"] : [];

    /// <summary>A stopped machine and its capture, which rdmamig received by RDMA.</summary>
    private Task<(QemuMachine Source, string Capture)> CaptureAsync(string machineType, int mebibytes) =>
        CaptureAsync(RdmaAddress.NextUri(), machineType, mebibytes);
}
