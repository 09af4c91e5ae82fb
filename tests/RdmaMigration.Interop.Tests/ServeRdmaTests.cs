using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="ServeTests"/>, over RDMA.</summary>
[Trait("needs", "rdma")]
public sealed class ServeRdmaTests : ReceiverTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task QEMU_to_service_to_QEMU_has_the_machine(bool pinAll)
    {
        string[] capabilities = pinAll ? ["rdma-pin-all"] : [];
        await using QemuMachine source = await StartSourceAsync("pc", 64);
        await using ServeProcess service = await ServeProcess.StartAsync("--incoming", "defer");

        await QmpMove.RunAsync(source.Monitor, service.Monitor, RdmaAddress.NextUri(), capabilities);
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", options => QemuMachine.TakeAsync(
            options,
            RdmaAddress.NextUri(),
            uri => QmpMove.SendAsync(service.Monitor, uri, [.. capabilities, "pause-before-switchover"]),
            ("rdma-pin-all", pinAll)));

        await Restoration.HasArrivedAsync(source, arrived, Work);
    }
}
