using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace RdmaMigration.Verbs.Tests.Rdma;

[Trait("needs", "rdma")]
public sealed class DataPathTests : IDisposable
{
    private readonly Loopback _loopback = Loopback.Connect(TestHost.Address(AddressFamily.InterNetwork));

    private Side Client => _loopback.Client;
    private Side Server => _loopback.Server;

    public void Dispose() => _loopback.Dispose();

    [Fact]
    public void Send_arrives_in_the_posted_receive()
    {
        Server.Receive(7);
        "hello"u8.CopyTo(Client.Bytes);
        Client.Post(SendRequest.Send(8, Client.Address, 5, Client.Region.LocalKey, SendOptions.Signaled));
        Assert.Equal(WorkCompletionOpcode.Send, Client.Succeed(8).Opcode);
        WorkCompletion received = Server.Succeed(7);
        Assert.Equal((WorkCompletionOpcode.Receive, 5u, false), (received.Opcode, received.ByteLength, received.HasImmediateData));
        Assert.Equal("hello"u8.ToArray(), Server.Bytes[..5].ToArray());
        Assert.Equal(Server.Pair.Number, received.QueuePairNumber);
    }

    [Fact]
    public void Send_of_nothing_needs_no_memory()
    {
        Server.Receive(1, length: 0);
        Client.Post(SendRequest.Send(2, 0, 0, 0, SendOptions.Signaled));
        Client.Succeed(2);
        Assert.Equal(0u, Server.Succeed(1).ByteLength);
    }

    [Fact]
    public void Immediate_data_arrives_in_host_byte_order()
    {
        Server.Receive(1);
        Client.Post(SendRequest.SendWithImmediate(2, Client.Address, 1, Client.Region.LocalKey, 0x01020304, SendOptions.Signaled));
        Client.Succeed(2);
        WorkCompletion received = Server.Succeed(1);
        Assert.Equal((true, 0x01020304u), (received.HasImmediateData, received.ImmediateData));
    }

    [Fact]
    public void Rdma_write_changes_the_peers_memory_and_nothing_else()
    {
        "written"u8.CopyTo(Client.Bytes);
        Client.Post(
            SendRequest.RdmaWrite(3, Client.Address, 7, Client.Region.LocalKey, (ulong)Server.Address + 100, Server.Region.RemoteKey, SendOptions.Signaled));
        Assert.Equal(WorkCompletionOpcode.RdmaWrite, Client.Succeed(3).Opcode);
        Assert.Equal("written"u8.ToArray(), Server.Bytes.Slice(100, 7).ToArray());
        Assert.True(Server.Bytes[..100].IndexOfAnyExcept((byte)0) < 0);
        Assert.True(Server.Bytes[107..].IndexOfAnyExcept((byte)0) < 0);
        Assert.Equal(0, Server.Queue.Poll(new WorkCompletion[1]));
    }

    [Fact]
    public void Rdma_write_of_nothing_needs_no_valid_key()
    {
        Client.Post(SendRequest.RdmaWrite(4, 0, 0, 0, 0, 0, SendOptions.Signaled));
        Client.Succeed(4);
    }

    [Fact]
    public void Rdma_write_with_immediate_takes_a_receive()
    {
        Server.Receive(5, length: 0);
        "imm"u8.CopyTo(Client.Bytes);
        Client.Post(SendRequest.RdmaWriteWithImmediate(
            6, Client.Address, 3, Client.Region.LocalKey, (ulong)Server.Address, Server.Region.RemoteKey, 0xdeadbeef, SendOptions.Signaled));
        Client.Succeed(6);
        WorkCompletion received = Server.Succeed(5);
        Assert.Equal((WorkCompletionOpcode.ReceiveRdmaWithImmediate, 3u, 0xdeadbeefu), (received.Opcode, received.ByteLength, received.ImmediateData));
        Assert.Equal("imm"u8.ToArray(), Server.Bytes[..3].ToArray());
    }

    [Fact]
    public void Rdma_read_fetches_the_peers_memory()
    {
        "remote"u8.CopyTo(Server.Bytes);
        Client.Post(
            SendRequest.RdmaRead(9, Client.Address + 10, 6, Client.Region.LocalKey, (ulong)Server.Address, Server.Region.RemoteKey, SendOptions.Signaled));
        Assert.Equal(WorkCompletionOpcode.RdmaRead, Client.Succeed(9).Opcode);
        Assert.Equal("remote"u8.ToArray(), Client.Bytes.Slice(10, 6).ToArray());
    }

    [Fact]
    public unsafe void Inline_send_takes_unregistered_bytes_when_posted()
    {
        Assert.True(Client.Pair.MaxInlineData >= Side.InlineLength);
        Server.Receive(1);
        Span<byte> unregistered = stackalloc byte[32];
        unregistered.Fill(0x5a);
        Client.Post(SendRequest.Send(2, (nint)Unsafe.AsPointer(ref unregistered[0]), 32, 0, SendOptions.Signaled | SendOptions.Inline));
        unregistered.Clear();
        Client.Succeed(2);
        Server.Succeed(1);
        Assert.True(Server.Bytes[..32].IndexOfAnyExcept((byte)0x5a) < 0);
    }

    [Fact]
    public void Segments_are_gathered_in_order()
    {
        Server.Receive(1);
        "worldhello "u8.CopyTo(Client.Bytes);
        uint key = Client.Region.LocalKey;
        Assert.True(Client.Pair.TryPost(SendRequest.Send(2, 0, 0, 0, SendOptions.Signaled), [new(Client.Address + 5, 6, key), new(Client.Address, 5, key)]));
        Client.Succeed(2);
        Assert.Equal(11u, Server.Succeed(1).ByteLength);
        Assert.Equal("hello world"u8.ToArray(), Server.Bytes[..11].ToArray());
    }

    [Fact]
    public void Full_send_queue_is_back_pressure_and_not_an_error()
    {
        uint posted = 0;
        // The peer has posted no receive, so nothing completes.
        while (posted < 10_000 && Client.Pair.TryPost(SendRequest.Send(posted, 0, 0, 0, SendOptions.Signaled)))
        {
            posted++;
        }

        Assert.InRange(posted, 8u, 9_999u);
        for (uint i = 0; i < posted; i++)
        {
            Server.Receive(i, length: 0);
            Client.Succeed(i);
            Server.Succeed(i);
        }
        Client.Post(SendRequest.RdmaWrite(1, 0, 0, 0, 0, 0, SendOptions.Signaled));
        Client.Succeed(1);
    }

    [Fact]
    public void Full_receive_queue_is_an_error_that_says_so()
    {
        VerbsException exception = Assert.Throws<VerbsException>(() =>
        {
            for (ulong i = 0; i < 10_000; i++)
            {
                Client.Receive(i);
            }
        });
        Assert.Contains("receive queue is full", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_remote_key_is_a_remote_access_error()
    {
        Client.Post(SendRequest.RdmaWrite(1, Client.Address, 8, Client.Region.LocalKey, (ulong)Server.Address, ~Server.Region.RemoteKey, SendOptions.Signaled));
        WorkCompletion completion = Client.Complete();
        Assert.Equal((1ul, WorkCompletionStatus.RemoteAccessError, false), (completion.Id, completion.Status, completion.IsSuccess));
        Assert.Contains("remote access error", completion.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Many_small_sends_arrive_in_order_over_channel_events()
    {
        const int Count = 300;
        for (int i = 0; i < 4; i++)
        {
            Server.Receive((ulong)i, offset: i * 4, length: 4);
        }

        for (int i = 0; i < Count; i++)
        {
            BitConverter.TryWriteBytes(Client.Bytes, i);
            Client.Post(SendRequest.Send(99, Client.Address, 4, Client.Region.LocalKey, SendOptions.Signaled));
            Client.Succeed(99);
            int slot = i % 4;
            Server.Succeed((ulong)slot);
            Assert.Equal(i, BitConverter.ToInt32(Server.Bytes[(slot * 4)..]));
            Server.Receive((ulong)slot, slot * 4, 4);
        }
    }

    [Fact]
    public void Failed_queue_pair_flushes_what_is_outstanding()
    {
        Server.Receive(42);
        Assert.Equal(QueuePairState.ReadyToSend, Server.Pair.Query().State);
        Server.Pair.Fail();
        Assert.Equal(QueuePairState.Error, Server.Pair.Query().State);
        WorkCompletion completion = Server.Complete();
        Assert.Equal((42ul, WorkCompletionStatus.WorkRequestFlushed), (completion.Id, completion.Status));
    }

    [Fact]
    public void Connected_queue_pair_tells_what_was_agreed()
    {
        QueuePairAttributes client = Client.Pair.Query();
        Assert.Equal(Server.Pair.Number, client.RemoteNumber);
        Assert.Equal(7, client.RetryCount);
        Assert.Equal((1, 1), (client.InitiatorDepth, client.ResponderResources));
        Client.Pair.Modify(new QueuePairAttributes { MinRnrTimer = 5 }, QueuePairAttributeMask.MinRnrTimer);
        Assert.Equal(5, Client.Pair.Query().MinRnrTimer);
    }

    [Fact]
    public void Posting_and_polling_do_not_allocate()
    {
        WorkCompletion[] completions = new WorkCompletion[4];
        SendRequest request = SendRequest.RdmaWrite(1, 0, 0, 0, 0, 0, SendOptions.Signaled);
        PostAndPoll(request, completions);
        long before = GC.GetAllocatedBytesForCurrentThread();
        PostAndPoll(request, completions);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private void PostAndPoll(in SendRequest request, WorkCompletion[] completions)
    {
        for (int i = 0; i < 100; i++)
        {
            Client.Pair.TryPost(request);
            Client.Queue.RequestNotification();
            while (Client.Queue.Poll(completions) == 0)
            {
            }
        }
    }
}
