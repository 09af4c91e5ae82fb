using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A real QEMU's machine with digests of its RAM: rdmamig compares them, QEMU refuses them.</summary>
[Trait("needs", "qemu")]
public sealed class VerifyTests : ReceiverTests
{
    /// <summary>In RAM, which begins within the first kilobyte.</summary>
    private const long InRam = 8 << 20;

    [Fact]
    public async Task A_verified_machine_is_saved_without_its_digests()
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "q35", 64);
        await using (source)
        {
            (ReceiveResult sent, ReceiveResult received) = await SendAsync(capture, spoilsAt: -1, "--verify");

            Assert.Equal(("completed", "completed", true), (sent.Status, received.Status, IsVerified(received)));
            Assert.Equal(await File.ReadAllBytesAsync(capture), await File.ReadAllBytesAsync(received.File));
        }
    }

    [Fact]
    public async Task A_bit_that_changes_on_the_way_is_found_with_verify_and_not_without()
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 16, halfZero: false);
        await using (source)
        {
            (ReceiveResult sent, ReceiveResult received) = await SendAsync(capture, InRam);
            Assert.Equal(("completed", "completed", false), (sent.Status, received.Status, IsVerified(received)));

            (sent, received) = await SendAsync(capture, InRam, "--verify");
            Assert.Equal(("failed", "failed", "Stream"), (sent.Status, received.Status, received.ErrorClass));
            Assert.Contains("'ram0'", received.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task QEMU_refuses_digests_and_the_sender_says_so()
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 16);
        await using (source)
        {
            InvalidOperationException refused = await Assert.ThrowsAsync<InvalidOperationException>(() => QemuMachine.TakeAsync(
                source.Options with { Name = "refusing", MemoryFile = Work.File("refusing.ram") }, "tcp:127.0.0.1:0", async uri =>
                {
                    await using RdmamigProcess sender = RdmamigProcess.Send(capture, uri, ["--verify"]);
                    ReceiveResult result = await sender.ResultAsync();
                    Assert.Equal("failed", result.Status);
                    Assert.Contains("verify", result.Error, StringComparison.Ordinal);
                }));
            Assert.Contains("rdmamig/ram-digest", refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [Trait("needs", "rdma")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_machine_that_went_by_RDMA_is_verified(bool pinAll)
    {
        (QemuMachine source, string capture) = await CaptureAsync($"unix:{Work.File("socket")}", "pc", 32);
        await using (source)
        {
            string file = Work.File("arrived");
            await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), file, ["--once"]);
            string[] mode = pinAll ? ["--pin-all"] : [];
            await using RdmamigProcess sender = RdmamigProcess.Send(capture, receiver.Uri, ["--verify", "--return-path", .. mode]);
            (ReceiveResult sent, ReceiveResult received) = (await sender.ResultAsync(), await receiver.ResultAsync());

            Assert.Equal(("completed", "completed", true), (sent.Status, received.Status, IsVerified(received)));
            Assert.Equal(await File.ReadAllBytesAsync(capture), await File.ReadAllBytesAsync(file));
        }
    }

    /// <summary>Sends a capture over a link that may change a bit.</summary>
    private async Task<(ReceiveResult Sent, ReceiveResult Received)> SendAsync(string capture, long spoilsAt, params string[] options)
    {
        string file = Work.File("arrived");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync("tcp:127.0.0.1:0", file, ["--once"]);
        using HoldingProxy link = new HoldingProxy(receiver.Uri) { SpoilsAt = spoilsAt }.Begin();
        await using RdmamigProcess sender = RdmamigProcess.Send(capture, link.Uri, options);
        return (await sender.ResultAsync(), await receiver.ResultAsync());
    }

    private static bool IsVerified(ReceiveResult result) => result.Values.TryGetProperty("verified", out _);
}
