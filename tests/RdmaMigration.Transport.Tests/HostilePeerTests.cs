using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Testing;

namespace RdmaMigration.Transport.Tests;

/// <summary>A sample of the fuzzing in <see cref="IncomingControlFuzzTests"/>, with a peer that sends it over real verbs.</summary>
[Trait("needs", "rdma")]
public sealed class HostilePeerTests
{
    private const int Peers = 60;

    [Fact]
    public async Task Each_broken_control_message_has_its_error_and_the_next_peer_is_taken()
    {
        using RamBlockList blocks = RamBlockList.Allocate([new RamBlockDescription("pc.ram", 8 << 20), new RamBlockDescription("vga", 1 << 20)], 16 << 20);
        using ListeningDestination destination = new();
        byte[] buffer = new byte[4096];
        for (int seed = 0; seed < Peers; seed++)
        {
            using RdmaSource source = destination.Connect(pinAll: seed % 2 == 0);
            RdmaIncomingChannel channel = destination.Accept();
            channel.SetBlocks(blocks);
            Task<Exception> reader = Task.Run(() => ReadToTheEnd(channel, buffer));
            long start = Stopwatch.GetTimestamp();
            Send(source, ControlFuzz.Mutate(ControlFuzz.Ladder(new Random(seed)), new Random(seed)));
            source.Disconnect();
            Exception error = await reader;
            Assert.True(error is TransportException && error.Message.Length > 0, $"seed {seed}: {error}");
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30), $"seed {seed}: took {Stopwatch.GetElapsedTime(start)}");
            channel.Dispose();
        }
    }

    /// <summary>One broken message for each credit, until the destination says ERROR.</summary>
    private static void Send(RdmaSource source, IEnumerable<byte[]> messages)
    {
        foreach (byte[] message in messages)
        {
            uint type;
            do
            {
                type = source.ReceiveAnything();
                if (type == (uint)ControlMessageType.Error)
                {
                    return;
                }
            }
            while (type != (uint)ControlMessageType.Ready);
            source.SendRaw(message);
        }
    }

    private static Exception ReadToTheEnd(RdmaIncomingChannel channel, byte[] buffer)
    {
        try
        {
            while (true)
            {
                channel.Input.Read(buffer, Timeout.InfiniteTimeSpan);
            }
        }
        catch (Exception end)
        {
            channel.Shutdown(end.Message);
            channel.SendError();
            return end;
        }
    }
}
