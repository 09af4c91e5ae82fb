using System.Net;
using RdmaMigration.Memory;
using RdmaMigration.Testing;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport.Tests;

/// <summary>Several write lanes beside one control lane, on the real device.</summary>
[Trait("needs", "rdma")]
public sealed class WriteLaneTests : IDisposable
{
    private const int Pages = 64;
    private const uint PageSize = 4096;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly CompletionWaiter _waiter = new();

    [Fact]
    public void Two_lanes_of_a_connection_write_and_count_apart_and_messages_pass_between()
    {
        using RamBlock source = RamBlock.Allocate("source", Pages * PageSize);
        using RamBlock target = RamBlock.Allocate("target", Pages * PageSize);
        Random.Shared.NextBytes(source.Slice(0, (int)source.Length));
        (RdmaConnection active, RdmaConnection passive) = Connect();
        using (active)
        using (passive)
        {
            using MemoryRegion local = Register(active, source, MemoryAccess.None);
            using MemoryRegion remote = Register(passive, target, MemoryAccess.LocalWrite | MemoryAccess.RemoteWrite);
            WriteLane[] lanes = [active.AddWriteLane(), active.AddWriteLane()];
            for (uint page = 0; page < Pages; page++)
            {
                // A third of the pages over the first lane, and a message now and then between the writes.
                Write(active, lanes[page % 3 == 0 ? 0 : 1], local, remote, page, last: page >= Pages - 3);
                if (page % 16 == 0)
                {
                    active.Control.Send(new ControlHeader(0, ControlMessageType.Ready, 1), []);
                    Assert.True(passive.Control.Receive(s_patience));
                }
            }

            Await(active, lanes);
            Assert.Equal([22 * PageSize, 42 * PageSize], lanes.Select(lane => lane.WrittenBytes));
            Assert.Equal(lanes.Select(lane => lane.PostedBytes), lanes.Select(lane => lane.WrittenBytes));
            Assert.True(source.Slice(0, (int)source.Length).SequenceEqual(target.Slice(0, (int)target.Length)));
        }
    }

    public void Dispose() => _waiter.Dispose();

    private static unsafe MemoryRegion Register(RdmaConnection connection, RamBlock block, MemoryAccess access) =>
        connection.Domain.Register((nint)block.Pointer, (nuint)block.Length, access);

    private static void Write(RdmaConnection connection, WriteLane lane, MemoryRegion local, MemoryRegion remote, uint page, bool last)
    {
        uint offset = page * PageSize;
        long progress = connection.Control.Progress;
        while (!lane.TryWrite(local.Address + (nint)offset, PageSize, local.LocalKey, (ulong)remote.Address + offset, remote.RemoteKey, last))
        {
            connection.Control.Park(progress, s_patience);
            progress = connection.Control.Progress;
        }
    }

    private static void Await(RdmaConnection connection, WriteLane[] lanes)
    {
        long start = Environment.TickCount64;
        while (lanes.Any(lane => lane.WrittenBytes < lane.PostedBytes))
        {
            long progress = connection.Control.Progress;
            if (lanes.Any(lane => lane.WrittenBytes < lane.PostedBytes))
            {
                connection.Control.Park(progress, s_patience);
            }

            connection.ThrowIfLost();
            Assert.True(Environment.TickCount64 - start < s_patience.TotalMilliseconds, "the writes did not complete");
        }
    }

    private (RdmaConnection Active, RdmaConnection Passive) Connect()
    {
        using EventChannel events = EventChannel.Create();
        using CmId listener = CmId.Create(events);
        listener.Bind(new IPEndPoint(RdmaAddress.V4, 0));
        listener.Listen(1);
        Task<RdmaConnection> accepted = Task.Run(() => Accept(events));
        RdmaUri uri = new(RdmaAddress.V4.ToString(), listener.LocalEndPoint!.Port);
        RdmaConnectOptions options = TestOptions.Rdma with { KeepAliveInterval = TimeSpan.FromMilliseconds(1) };
        (RdmaConnection active, _) = RdmaConnector.Connect(_waiter, uri, ConnectionPurpose.NewMigration(), options, s_patience, CancellationToken.None);
        return (active, accepted.GetAwaiter().GetResult());
    }

    private RdmaConnection Accept(EventChannel events)
    {
        CmId id;
        using (CmEvent request = events.GetEvent())
        {
            id = request.Id;
        }

        RdmaConnection connection = RdmaConnection.FromRequest(_waiter, id, new RdmaConnectionOptions(TimeSpan.Zero, s_patience, TimeSpan.Zero, SendDepth: 16));
        Span<byte> reply = stackalloc byte[RdmaCapabilities.Size];
        new RdmaCapabilities(RdmaCapabilities.CurrentVersion, 0).Write(reply);
        connection.Accept(reply);
        return connection;
    }
}
