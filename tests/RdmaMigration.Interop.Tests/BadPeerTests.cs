using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Who is no QEMU is turned away in clear words, and the next connection is served.</summary>
[Trait("needs", "rdma")]
public sealed class BadPeerTests : ReceiverTests
{
    private readonly int _port = RdmaAddress.NextPort();

    [Fact]
    public async Task A_TCP_client_is_no_disturbance()
    {
        await using RdmamigProcess receiver = await ListenAsync();

        using (TcpClient client = new())
        {
            // RoCE listens on no TCP port; on iWARP the connection comes and is dropped.
            SocketException? refused = await Record.ExceptionAsync(
                () => client.ConnectAsync(new IPEndPoint(RdmaAddress.V4, _port), TestContext.Current.CancellationToken).AsTask()) as SocketException;
            Assert.True(refused is null || refused.SocketErrorCode == SocketError.ConnectionRefused, $"{refused}");
        }

        await NextMigrationWorksAsync(receiver);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(2u)]
    [InlineData(uint.MaxValue)]
    public async Task A_wrong_protocol_version_is_rejected_with_both_versions(uint version)
    {
        await using RdmamigProcess receiver = await ListenAsync();
        byte[] privateData = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(privateData, version);

        AssertIsRejected(privateData, $"version {version}; expected 1");

        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task Missing_private_data_is_rejected()
    {
        await using RdmamigProcess receiver = await ListenAsync();

        AssertIsRejected([], "expected");

        await NextMigrationWorksAsync(receiver);
    }

    [Fact]
    public async Task A_peer_that_disconnects_is_a_failure_and_longer_private_data_is_none()
    {
        await using RdmamigProcess receiver = await ListenAsync();
        byte[] privateData = new byte[40];
        privateData.AsSpan().Fill(0xff);
        BinaryPrimitives.WriteUInt64BigEndian(privateData, 0x0000_0001_0000_0000);
        using (RdmaSource.Connect(new IPEndPoint(RdmaAddress.V4, _port), privateData))
        {
            await receiver.Events.FirstAsync(e => e.Name == "MIGRATION", 0, Deadlines.Answer, "a connection");
        }

        ReceiveResult result = await receiver.ResultAsync();
        Assert.Equal("failed", result.Status);
        Assert.Equal("Disconnected", result.ErrorClass);
        await NextMigrationWorksAsync(receiver);
    }

    private Task<RdmamigProcess> ListenAsync() => RdmamigProcess.ListenAsync(RdmaAddress.Uri(_port), NewFolder("captures"));

    private void AssertIsRejected(byte[] privateData, string words)
    {
        ConnectionRejectedException rejected = Assert.Throws<ConnectionRejectedException>(
            () => RdmaSource.Connect(new IPEndPoint(RdmaAddress.V4, _port), privateData));
        Assert.Contains(words, rejected.Message, StringComparison.Ordinal);
    }
}
