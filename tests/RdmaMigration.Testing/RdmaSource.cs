using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using RdmaMigration.Verbs;

namespace RdmaMigration.Testing;

/// <summary>The destination rejected the connection.</summary>
public sealed class ConnectionRejectedException(string reason) : IOException($"rejected: {reason}");

/// <summary>
/// One connection of a migration source, written from the protocol for tests: it sends what it is told, well-formed or not. Every wait has a deadline.
/// </summary>
public sealed unsafe class RdmaSource : IDisposable
{
    /// <summary>What a source of QEMU's sends as private data, without pin-all.</summary>
    public static readonly byte[] Dynamic = [0, 0, 0, 1, 0, 0, 0, 0];

    /// <summary>The same with pin-all.</summary>
    public static readonly byte[] PinAll = [0, 0, 0, 1, 0, 0, 0, 1];

    private const int MaxMessage = 512 * 1024;
    private const int Receives = 4;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly EventChannel _events = EventChannel.Create();
    private readonly CmId _id;
    private readonly ProtectionDomain _domain;
    private readonly CompletionChannel _channel;
    private readonly CompletionQueue _sends;
    private readonly CompletionQueue _receives;
    private readonly QueuePair _queuePair;
    private readonly byte* _memory = (byte*)NativeMemory.AlignedAlloc((Receives + 1) * MaxMessage, 4096);
    private readonly MemoryRegion _region;
    private readonly WorkCompletion[] _completion = new WorkCompletion[1];

    private RdmaSource(IPEndPoint destination)
    {
        _id = CmId.Create(_events);
        _id.ResolveAddress(destination, s_patience);
        Expect(CmEventType.AddressResolved);
        _id.ResolveRoute(s_patience);
        Expect(CmEventType.RouteResolved);
        DeviceContext device = _id.Device!;
        _domain = ProtectionDomain.Allocate(device);
        _channel = CompletionChannel.Create(device);
        _sends = CompletionQueue.Create(device, 64, _channel);
        _receives = CompletionQueue.Create(device, 64, _channel);
        _queuePair = _id.CreateQueuePair(
            _domain,
            new QueuePairOptions
            {
                SendQueue = _sends,
                ReceiveQueue = _receives,
                MaxSend = 32,
                MaxReceive = Receives,
                MaxSendSge = 1,
                MaxReceiveSge = 1,
            });
        _region = _domain.Register((nint)_memory, (Receives + 1) * MaxMessage, MemoryAccess.LocalWrite);
        for (int i = 0; i < Receives; i++)
        {
            PostReceive(i);
        }
    }

    /// <summary>The address and port that it connects from.</summary>
    public IPEndPoint LocalEndPoint => _id.LocalEndPoint!;

    /// <summary>The payload of the control message received last.</summary>
    public byte[] Payload { get; private set; } = [];

    /// <summary>Connects.</summary>
    /// <param name="destination">Where a destination listens.</param>
    /// <param name="privateData">Sent with the request; at most 56 bytes.</param>
    /// <exception cref="ConnectionRejectedException">The destination said no; the message is its reason.</exception>
    public static RdmaSource Connect(IPEndPoint destination, ReadOnlySpan<byte> privateData)
    {
        RdmaSource source = new(destination);
        try
        {
            source._id.Connect(new ConnectionParameters(ResponderResources: 0, InitiatorDepth: 2, RetryCount: 5, RnrRetryCount: 0), privateData);
            source.Expect(CmEventType.Established);
            return source;
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Sends bytes as one control message, as they are, and waits until the destination's device has them.</summary>
    public void SendRaw(ReadOnlySpan<byte> message)
    {
        message.CopyTo(new Span<byte>(_memory + (Receives * MaxMessage), MaxMessage));
        Post(SendRequest.Send(1, (nint)(_memory + (Receives * MaxMessage)), (uint)message.Length, _region.LocalKey, SendOptions.Signaled));
    }

    /// <summary>Waits for the READY credit, then sends one control message.</summary>
    public void Send(uint type, ReadOnlySpan<byte> payload, uint repeat = 1)
    {
        Receive(2);
        byte[] message = new byte[16 + payload.Length];
        BinaryPrimitives.WriteUInt32BigEndian(message, (uint)payload.Length);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), type);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(8), repeat);
        payload.CopyTo(message.AsSpan(16));
        SendRaw(message);
    }

    /// <summary>Waits for a control message and requires its type.</summary>
    /// <exception cref="IOException">Another type came, the connection broke, or nothing came.</exception>
    public byte[] Receive(uint type)
    {
        uint got = ReceiveAnything();
        return got == type ? Payload : throw new IOException($"expected control message {type}, got {got} with {Payload.Length} bytes");
    }

    /// <summary>Waits for any control message and returns its type.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    public uint ReceiveAnything()
    {
        int index = (int)Await(_receives);
        ReadOnlySpan<byte> message = new(_memory + (index * MaxMessage), (int)_completion[0].ByteLength);
        Payload = message[16..].ToArray();
        uint type = BinaryPrimitives.ReadUInt32BigEndian(message[4..]);
        PostReceive(index);
        return type;
    }

    /// <summary>Writes into the destination's RAM and waits for the acknowledgement.</summary>
    public void Write(ReadOnlySpan<byte> bytes, ulong remoteAddress, uint remoteKey)
    {
        bytes.CopyTo(new Span<byte>(_memory + (Receives * MaxMessage), MaxMessage));
        Post(SendRequest.RdmaWrite(
            2, (nint)(_memory + (Receives * MaxMessage)), (uint)bytes.Length, _region.LocalKey, remoteAddress, remoteKey, SendOptions.Signaled));
    }

    /// <summary>Disconnects, as QEMU does after its last message.</summary>
    public void Disconnect() => _id.Disconnect();

    /// <summary>Waits until the destination disconnects.</summary>
    public void AwaitDisconnect() => Expect(CmEventType.Disconnected);

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            _id.Disconnect();
        }
        catch (VerbsException)
        {
            // The device was removed; what was on it still has to be freed.
        }

        _queuePair.Dispose();
        _sends.Dispose();
        _receives.Dispose();
        _channel.Dispose();
        _region.Dispose();
        _domain.Dispose();
        _id.Dispose();
        _events.Dispose();
        NativeMemory.AlignedFree(_memory);
    }

    private void Expect(CmEventType type)
    {
        if (!_events.Wait(s_patience))
        {
            throw new TimeoutException($"no {type} within {s_patience}");
        }

        using CmEvent happened = _events.GetEvent();
        if (happened.Type == CmEventType.Rejected)
        {
            throw new ConnectionRejectedException(Encoding.ASCII.GetString(happened.PrivateData).TrimEnd('\0'));
        }

        if (happened.Type != type)
        {
            throw new IOException($"expected {type}, got {happened}");
        }
    }

    private void Post(in SendRequest request)
    {
        if (!_queuePair.TryPost(request))
        {
            throw new IOException("the send queue is full");
        }

        Await(_sends);
    }

    private ulong Await(CompletionQueue queue)
    {
        while (queue.Poll(_completion) == 0)
        {
            queue.RequestNotification();
            if (queue.Poll(_completion) > 0)
            {
                break;
            }

            if (!_channel.Wait(s_patience))
            {
                throw new TimeoutException($"no completion within {s_patience}");
            }

            _channel.TryGetEvent();
        }

        return _completion[0].IsSuccess ? _completion[0].Id : throw new IOException($"completion {_completion[0].Status}");
    }

    private void PostReceive(int index) => _queuePair.PostReceive((ulong)index, (nint)(_memory + (index * MaxMessage)), MaxMessage, _region.LocalKey);
}
