using System.Net;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>QEMU up to 10.0 refuses IPv6 on RoCE, so a source of our own comes that way.</summary>
[Trait("needs", "rdma")]
public sealed class Ipv6Tests : ReceiverTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_machine_arrives_over_IPv6(bool pinAll)
    {
        int port = RdmaAddress.NextPort();
        IPAddress host = RdmaAddress.V6;
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"rdma:[{host}]:{port}", NewFolder("captures"));
        using RdmaSource source = RdmaSource.Connect(new IPEndPoint(host, port), pinAll ? RdmaSource.PinAll : RdmaSource.Dynamic);
        SmallMachine machine = new(source, pinAll);

        machine.RunTo(SmallMachine.Step.Complete);
        source.Disconnect();
        ReceiveResult result = await receiver.ResultAsync();

        Assert.True(result.Completed, $"{result}");
        string memory = Work.File("sent.ram");
        await File.WriteAllBytesAsync(memory, StreamedMachine.Ram, TestContext.Current.CancellationToken);
        using MigrationFile file = MigrationFile.Open(result.File);
        Assert.Equal(StreamedMachine.Machine, file.MachineType);
        Assert.Equal(-1, file.FirstDifference("pc.ram", memory));
    }
}
