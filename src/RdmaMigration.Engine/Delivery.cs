using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What a delivery is at.</summary>
internal enum DeliveryStep
{
    /// <summary>The destination is contacted, and its RAM blocks are learned.</summary>
    Setup,

    /// <summary>RAM is sent.</summary>
    Ram,

    /// <summary>Device state is sent.</summary>
    Device,

    /// <summary>The destination has all that it loads; its end is awaited.</summary>
    Confirming,

    /// <summary>It is over: the destination has the machine, as far as it can say.</summary>
    Done,
}

/// <summary>The session that a delivery belongs to.</summary>
internal interface IDeliverySession
{
    /// <summary>Told each step but the last, on the sending thread. What it throws ends the delivery.</summary>
    void OnStep(DeliveryStep step);

    /// <summary>Told of the last step, on the sending thread: the destination has the machine, and has proved it or not.</summary>
    /// <exception cref="OperationCanceledException">The session was stopped before, and nothing is proved.</exception>
    void OnDelivered(bool isConfirmed);

    /// <summary>Ends the session with a timeout, unless it has ended before.</summary>
    void StopAfter(TimeSpan time, string description);

    /// <summary>The destination could not be told that this side gives up.</summary>
    void OnDestinationNotTold(string reason);

    /// <summary>Something could not be cleaned up; what, in words. Any thread.</summary>
    void OnLeftBehind(string what);
}

/// <summary>
/// One machine to one destination: connects, sends, and waits until the destination has it. The caller's thread does it, mig/src/return reads the way back.
/// <see cref="Shutdown"/> and the figures are for any thread.
/// </summary>
/// <param name="options">Where to, and how.</param>
/// <param name="open">Connects. Blocks.</param>
/// <param name="session">Whose migration it is.</param>
/// <param name="cancel">Ends it, together with <see cref="Shutdown"/>.</param>
internal sealed partial class Delivery(
    OutgoingOptions options, Func<CancellationToken, OutgoingChannel> open, IDeliverySession session, CancellationToken cancel) : IDisposable
{
    private volatile OutgoingChannel? _channel;
    private SourceReturnPath? _returnPath;
    private StreamConfiguration? _configuration;
    private CapturedStream? _machine;
    private bool _isOpened;
    private CaptureStage _stage;

    /// <summary>Connects to the destination. Nothing is sent.</summary>
    /// <exception cref="ConnectFailedException">It cannot be reached, or does not take the connection.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Connect()
    {
        BlockingCalls.AssertAllowed();
        BeginSetup();
        OutgoingChannel channel = open(cancel);
        channel.LeftBehind = session.OnLeftBehind;
        channel.Output.Limit = options.Parameters.BandwidthLimit();
        _channel = channel;
        EndConnect();
        cancel.ThrowIfCancellationRequested();
        if (channel.Input is { } reader)
        {
            _returnPath = new SourceReturnPath(reader, channel.Peer, () => Step >= DeliveryStep.Device, channel.Shutdown);
            _returnPath.Start();
        }
    }

    /// <summary>
    /// Sends what is known before the machine is: the destination can refuse its type, and sees that a migration has begun. Between <see cref="Connect"/> and
    /// <see cref="Send"/>, which sends it else.
    /// </summary>
    /// <exception cref="TransportException">The destination is lost.</exception>
    public void Open(StreamConfiguration configuration)
    {
        _configuration = configuration;
        Guard(channel => CaptureWriter.WriteOpening(configuration, new ChannelSink(channel.Output)));
        _isOpened = true;
    }

    /// <summary>Refuses a machine that the channel cannot carry.</summary>
    /// <exception cref="CaptureException">The message says which of its blocks, and what to do.</exception>
    public void Check(CapturedStream machine)
    {
        if (options.Uri is RdmaUri && Enumerable.Range(0, machine.Blocks.Count).FirstOrDefault(machine.IsLeftOut, -1) is >= 0 and int leftOut)
        {
            throw new CaptureException(
                $"RAM block '{machine.Blocks[leftOut].Name}' is left out of the stream (x-ignore-shared), which RDMA cannot say: send it to tcp: or unix:");
        }
    }

    /// <summary>Sends the machine and waits for its arrival. After <see cref="Connect"/>, once.</summary>
    /// <param name="machine">The machine; its RAM blocks must live until this is disposed.</param>
    /// <exception cref="CaptureException">The channel cannot carry it.</exception>
    /// <exception cref="TransportException">It did not arrive; the message says why and what to do.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Send(CapturedStream machine)
    {
        Check(machine);
        _configuration = machine.Configuration;
        _machine = machine;
        BeginSend();
        Guard(channel =>
        {
            Write(channel, machine);
            Confirm(channel);
        });
        IsConfirmed = HasDestinationSucceeded || _channel!.Output.FinishProves;
        Reach(DeliveryStep.Done);
        session.OnDelivered(IsConfirmed);
    }

    /// <summary>Why the destination is lost, in words; null as long as it is not known to be. Any thread.</summary>
    public MigrationException? Loss => _channel is { Lost: { } lost } channel ? Explain(channel, lost) : null;

    /// <summary>Tells the destination that this side gives up, as far as the channel can. On the sending thread, its last call.</summary>
    public void TellDestination()
    {
        if (_channel is not { } channel)
        {
            return;
        }

        channel.Shutdown("this side gives up");
        _returnPath?.Join();
        try
        {
            channel.SendError();
        }
        catch (TransportException unheard)
        {
            session.OnDestinationNotTold(unheard.Message);
        }
    }

    /// <summary>Makes the sending thread's channel calls return. Any thread; the token is cancelled before.</summary>
    public void Shutdown(string reason) => _channel?.Shutdown(reason);

    /// <summary>Closes the channel. The sending thread must have returned.</summary>
    public void Dispose()
    {
        EndFigures();
        _channel?.Dispose();
    }

    /// <summary>Does what uses the channel. A failure ends the return path too, which may know the reason.</summary>
    private void Guard(Action<OutgoingChannel> use)
    {
        OutgoingChannel channel = _channel!;
        try
        {
            use(channel);
        }
        catch (Exception failed)
        {
            channel.Shutdown(failed.Message);
            _returnPath?.Join();
            if (HasDestinationSucceeded && failed is (TransportException or OperationCanceledException))
            {
                // It may run there, so whatever came between is no failure.
                return;
            }

            if (failed is TransportException transport)
            {
                throw Explain(channel, transport);
            }

            throw;
        }
    }

    /// <summary>It has said so (SHUT 0), and was sent all that it loads. After the return path's join.</summary>
    private bool HasDestinationSucceeded => _returnPath is { Failure: null } && _stage >= CaptureStage.VmDescription;

    /// <summary>Sends all bytes. A destination whose machine has no vmdescription may leave that unread and go (protocol E.5).</summary>
    private void Write(OutgoingChannel channel, CapturedStream machine)
    {
        RamCarrier? carrier = channel.Ram is { } ram ? new RamCarrier(ram, () => Reach(DeliveryStep.Ram)) : null;
        if (carrier is null)
        {
            Reach(DeliveryStep.Ram);
        }

        CaptureWriterOptions form = new() { Carrier = carrier, IsOpened = _isOpened, OpenReturnPath = _returnPath is not null };
        try
        {
            CaptureWriter.Write(machine, new ChannelSink(channel.Output), form, OnProgress, cancel);
            channel.Output.Finish();
        }
        catch (ConnectionLostException gone) when (gone.Loss is ConnectionLoss.Disconnected && _stage >= CaptureStage.VmDescription && !channel.Output.FinishProves)
        {
            // What it thinks of the machine is for Confirm to find out.
        }
    }

    private void OnProgress(CaptureProgress progress)
    {
        _stage = progress.Stage;
        Count(progress);
        switch (progress.Stage)
        {
            case CaptureStage.DeviceState:
                Reach(DeliveryStep.Device);
                break;
            case CaptureStage.VmDescription:
            case CaptureStage.Complete:
                BeginConfirming();
                break;
            default:
                break;
        }
    }

    /// <summary>From here on the destination has what it loads, so it can be held to a time.</summary>
    private void BeginConfirming()
    {
        TimeSpan? time = options.Parameters.Get(MigrationParameters.ConfirmTimeout) ?? (IsProvable is true ? null : MigrationParameters.CloseTimeout);
        if (Step < DeliveryStep.Confirming && time is { } limit)
        {
            session.StopAfter(limit, $"the destination has not ended within {limit.TotalSeconds:0.#} s of the last byte: --confirm-timeout gives it longer"
                + (IsProvable is true ? "" : ", and --return-path lets one that can say how it ended"));
        }

        Reach(DeliveryStep.Confirming);
    }

    private void Confirm(OutgoingChannel channel)
    {
        if (_returnPath is not null)
        {
            _returnPath.Join();
            if (_returnPath.Failure is { } failure)
            {
                throw failure;
            }
        }
        else
        {
            // Whether it has failed or succeeded, it closes then; only that it is over shows.
            channel.AwaitClose();
        }
    }
}
