using System.Diagnostics;

namespace RdmaMigration.Transport;

/// <summary>
/// QEMU's RDMA control protocol as the source speaks it (PROTOCOL.md, Credits): every message of ours but ERROR needs a READY of the destination, which has
/// posted a receive for exactly one. A message without that credit would find none and break the connection. One thread uses it.
/// </summary>
internal sealed class OutgoingControl(IControlLink link)
{
    private ControlMessageType _awaited = ControlMessageType.None;
    private RegisterResult? _registered;

    /// <summary>The destination waits for a message.</summary>
    public bool HasCredit { get; private set; }

    /// <summary>The destination, for messages.</summary>
    public string Peer => link.Peer;

    /// <summary>The longest wait for a message of the destination. Without a limit only a lost connection ends a wait.</summary>
    public TimeSpan Patience { get; set; } = Timeout.InfiniteTimeSpan;

    /// <summary>Waits for the credit, then sends.</summary>
    /// <exception cref="PeerSilentException">The destination lives and gives no credit.</exception>
    /// <exception cref="ControlProtocolException">The peer broke the protocol.</exception>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    public void Send(ControlMessageType type, ReadOnlySpan<byte> payload)
    {
        while (!HasCredit)
        {
            Receive(ControlMessageType.Ready, Patience);
            Take();
        }

        SendNow(type, payload);
    }

    /// <summary>Sends a request and waits for its response.</summary>
    /// <param name="type">The request, which has no payload.</param>
    /// <param name="response">What answers it.</param>
    /// <param name="meanwhile">Done while the destination works on it.</param>
    /// <param name="work">How long the destination may work on it, beyond <see cref="Patience"/>.</param>
    /// <returns>The response's payload, valid until the next message.</returns>
    /// <exception cref="PeerSilentException">The destination lives and does not answer.</exception>
    /// <exception cref="ControlProtocolException">The peer broke the protocol.</exception>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    public ReadOnlySpan<byte> Request(ControlMessageType type, ControlMessageType response, Action meanwhile, TimeSpan work)
    {
        Send(type, []);
        _awaited = response;
        meanwhile();
        do
        {
            Receive(response, Patience == Timeout.InfiniteTimeSpan ? Patience : Patience + work);
        }
        while (Take() != response);
        return link.Message[ControlHeader.Size..];
    }

    /// <summary>Takes what has arrived, without waiting.</summary>
    /// <exception cref="ControlProtocolException">The peer broke the protocol.</exception>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    public void Pump()
    {
        while (link.TryReceive())
        {
            Take();
        }
    }

    /// <summary>Asks for the registration of a run of chunks. Needs the credit.</summary>
    public void SendRegister(RegisterRequest request)
    {
        Span<byte> payload = stackalloc byte[RegisterRequest.Size];
        request.Write(payload);
        SendNow(ControlMessageType.RegisterRequest, payload);
        _awaited = ControlMessageType.RegisterResult;
    }

    /// <summary>The answer to <see cref="SendRegister"/>, once it is there.</summary>
    public bool TryTakeRegistered(out RegisterResult result)
    {
        result = _registered.GetValueOrDefault();
        bool there = _registered is not null;
        _registered = null;
        return there;
    }

    /// <summary>Says that a range is zero. Needs the credit; the next one says that it was carried out.</summary>
    public void SendZero(uint blockIndex, ulong offset, ulong length)
    {
        Span<byte> payload = stackalloc byte[CompressRequest.Size];
        new CompressRequest(0, blockIndex, offset, length).Write(payload);
        SendNow(ControlMessageType.Compress, payload);
    }

    /// <summary>Waits until the destination has disconnected. It may ask for more meanwhile.</summary>
    /// <exception cref="ConnectionLostException">The connection ended in another way.</exception>
    /// <exception cref="ControlProtocolException">The peer broke the protocol.</exception>
    public void WaitForClose()
    {
        try
        {
            while (link.Receive(Timeout.InfiniteTimeSpan))
            {
                Take();
            }
        }
        catch (ConnectionLostException lost) when (lost.Loss is ConnectionLoss.Disconnected)
        {
            // What was waited for.
        }
    }

    private void Receive(ControlMessageType awaited, TimeSpan patience)
    {
        if (!link.Receive(patience))
        {
            throw new PeerSilentException(
                awaited.ToString(), "destination", link.Peer, patience, "check that its process is not stopped; --answer-timeout allows more time");
        }
    }

    private void SendNow(ControlMessageType type, ReadOnlySpan<byte> payload)
    {
        Debug.Assert(HasCredit, "a message without a credit");
        HasCredit = false;
        link.Send(new ControlHeader((uint)payload.Length, type, 1), payload);
    }

    /// <summary>Checks the message that has arrived and notes what it changes.</summary>
    private ControlMessageType Take()
    {
        ControlHeader header = ControlHeader.Parse(link.Message, link.Peer);
        if (header.Type == ControlMessageType.Error)
        {
            throw new ConnectionLostException(
                ConnectionLoss.PeerError, $"the destination {link.Peer} reported a failure (ERROR); see its log", Stopwatch.GetTimestamp());
        }

        if (header.Type == ControlMessageType.Ready && !HasCredit && _awaited == ControlMessageType.None)
        {
            HasCredit = true;
        }
        else if (header.Type == _awaited && header.Type != ControlMessageType.None)
        {
            _awaited = ControlMessageType.None;
            if (header.Type == ControlMessageType.RegisterResult)
            {
                TakeRegistered(header);
            }
        }
        else
        {
            string expected = _awaited != ControlMessageType.None ? $"{_awaited}" : HasCredit ? "nothing before our next message" : "READY";
            throw new ControlProtocolException($"the destination {link.Peer} sent {header.Type} ({(uint)header.Type}); expected {expected}");
        }

        return header.Type;
    }

    private void TakeRegistered(ControlHeader header)
    {
        if (header.Length != RegisterResult.Size)
        {
            throw new ControlProtocolException(
                $"REGISTER_RESULT: the destination {link.Peer} sent {header.Length} bytes; expected {RegisterResult.Size}");
        }

        RegisterResult result = RegisterResult.Read(link.Message[ControlHeader.Size..]);
        _registered = result.RemoteKey != 0
            ? result
            : throw new ControlProtocolException($"REGISTER_RESULT: the destination {link.Peer} sent key 0, which means none");
    }
}
