using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="KeptPagesTests"/>, over RDMA, where the stream does not show which pages came.</summary>
[Trait("needs", "rdma")]
public sealed class KeptPagesRdmaTests : ReceiverTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_source_in_mode_cpr_transfer_fails_over_RDMA_and_no_capture_appears(bool pinAll)
    {
        await using QemuMachine source = await StartSourceAsync(NewMachine("trixie", "pc,aux-ram-share=on", 64));
        await source.SetCapabilitiesAsync(("rdma-pin-all", pinAll));
        string file = Work.File("captured");
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), file, ["--once"]);

        string status = await CprTransfer.MigrateAsync(source, receiver.Uri, Work.File("cpr"));

        ReceiveResult result = await receiver.ResultAsync();
        Measured($"source {status}; destination {result.Status}, {result.ErrorClass}: {result.Error}");
        Assert.Equal(("failed", "failed"), (status, result.Status));
        Assert.Equal(1, await receiver.Process.WaitForExitAsync(Deadlines.Answer));
        Assert.False(File.Exists(file));
    }
}
