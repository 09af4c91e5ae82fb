using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>The receive side of one queue pair: messages land in turning buffers. Only the connection's thread uses it.</summary>
internal sealed class ReceiveQueue(VerbsResources verbs, ConnectionState state, SendQueue sends)
{
    private readonly WorkCompletion[] _completion = new WorkCompletion[1];
    private int _current = -1;
    private int _currentLength;

    /// <summary>The message taken last, header included, until <see cref="Release"/>.</summary>
    public ReadOnlySpan<byte> Message => _current < 0 ? [] : verbs.Buffers.Received(_current, _currentLength);

    /// <summary>Registers the buffers and posts them; the peer must not send before. Once.</summary>
    /// <exception cref="VerbsException">The memory cannot be registered.</exception>
    public void PostAll()
    {
        verbs.Buffers.Register(verbs.Domain);
        for (int i = 0; i < ControlBuffers.ReceiveCount; i++)
        {
            Post(i);
        }
    }

    /// <summary>Takes the next message if it has arrived. The one before must have been released.</summary>
    public bool TryTake()
    {
        if (Poll() == 0)
        {
            return false;
        }

        ref readonly WorkCompletion completion = ref _completion[0];
        if (!completion.IsSuccess)
        {
            // A flushed receive only follows what broke the queue pair, and the send side knows what that was.
            sends.Reap();
            state.FailBy(completion, "receive");
            return false;
        }

        state.Touch();
        _current = (int)completion.Id;
        _currentLength = (int)completion.ByteLength;
        return true;
    }

    /// <summary>Gives the current message's buffer back to the device.</summary>
    public void Release()
    {
        if (_current < 0)
        {
            return;
        }

        int consumed = _current;
        _current = -1;
        try
        {
            Post(consumed);
        }
        catch (VerbsException refused)
        {
            // This fails the connection. What has arrived is still handed out, and then the reason is thrown.
            sends.Refused(refused);
        }
    }

    /// <summary>Asks for an event when the next message comes. Where the device cannot, the connection fails, which ends the wait too.</summary>
    public void Arm()
    {
        try
        {
            verbs.ReceiveQueue.RequestNotification();
        }
        catch (VerbsException gone)
        {
            state.FailByDevice(gone);
        }
    }

    /// <summary>Parks the connection's thread until a message may have arrived or the parking is set; false when the time has passed.</summary>
    public bool Park(Deadline deadline)
    {
        bool happened = state.Parking.Wait(verbs.ReceiveChannel.FileDescriptor, deadline, out bool readable);
        try
        {
            if (readable)
            {
                verbs.ReceiveChannel.TryGetEvent();
            }
        }
        catch (VerbsException gone)
        {
            state.FailByDevice(gone);
        }

        return happened;
    }

    private int Poll()
    {
        try
        {
            return verbs.ReceiveQueue.Poll(_completion);
        }
        catch (VerbsException gone)
        {
            state.FailByDevice(gone);
            return 0;
        }
    }

    private void Post(int index) =>
        verbs.QueuePair.PostReceive((ulong)index, verbs.Buffers.ReceiveAddress(index), ControlHeader.MaxMessage, verbs.Buffers.LocalKey);
}
