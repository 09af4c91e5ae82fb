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

    /// <summary>The machine is stopped, and migrate-continue is awaited.</summary>
    PreSwitchover,

    /// <summary>Device state is sent.</summary>
    Device,

    /// <summary>The destination has all that it loads; its result is awaited.</summary>
    Confirming,

    /// <summary>It is over: the destination has the machine, as far as it can say.</summary>
    Done,
}

/// <summary>
/// One machine to one destination: connects, sends, and waits until the destination has it. The caller's thread does it, mig/src/return reads the return path.
/// <see cref="Shutdown"/> and the figures are for any thread.
/// </summary>
/// <param name="options">Where to, and how.</param>
/// <param name="open">Connects. Blocks.</param>
/// <param name="context">Whose migration it is.</param>
internal sealed class Delivery(OutgoingOptions options, Func<OutgoingOptions, CancellationToken, OutgoingChannel> open, MigrationContext context) : IDisposable
{
    private readonly DeliveryFigures _figures = new();
    private readonly BandwidthLimit _limit = new(options.Parameters.Rate());
    private readonly bool _verifies = options.Parameters.Get(MigrationParameters.Verify);
    private volatile OutgoingChannel? _channel;
    private SourceReturnPath? _returnPath;
    private StreamConfiguration? _configuration;
    private IOutgoingMachine? _machine;
    private Action<DeliveryStep>? _mayGoOn;
    private bool _isOpened;
    private CaptureStage _stage;

    /// <summary>What it is at.</summary>
    public DeliveryStep Step => _figures.Step;

    /// <summary>The destination has said, or shown, that it has the machine.</summary>
    public bool IsConfirmed { get; private set; }

    /// <summary>Whether the destination can say so, on a return path or by its exit code; null before the connection.</summary>
    public bool? IsProvable => _channel?.ProvesArrival;

    /// <summary>The destination, for messages.</summary>
    public string Peer => _channel?.Peer ?? options.Uri.ToString();

    /// <summary>Why the destination is lost, for people; null as long as it is not known to be. Any thread.</summary>
    public MigrationException? Loss => _channel is { Lost: { } lost } channel ? Failure().Explain(channel, lost, _returnPath?.Failure) : null;

    /// <summary>What is not known when it ends at this moment, to add to the reason; null when nothing is open. Any thread.</summary>
    public string? OpenQuestion => Step >= DeliveryStep.Confirming
        ? $"; everything was sent to {Peer}, but it did not confirm; check there before you start the machine elsewhere"
        : null;

    /// <summary>Connects to the destination. Nothing is sent.</summary>
    /// <param name="source">The file that the machine comes from, which no destination may overwrite; null for none.</param>
    /// <exception cref="ConnectFailedException">It cannot be reached, or does not take the connection.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public void Connect(FileNode? source)
    {
        BlockingCalls.AssertAllowed();
        _figures.BeginConnect();
        if (options.Parameters.Get(MigrationParameters.Timeout) is { } timeout)
        {
            context.StopAfter(timeout, $"the migration to {options.Uri} did not end within {timeout.TotalSeconds:0.#} s");
        }

        context.State.Follow(DeliveryStep.Setup);
        OutgoingChannel channel = open(options with { Source = source }, context.Cancellation);
        channel.LeftBehind = context.OnLeftBehind;
        channel.Output.Limit = _limit;
        _channel = channel;
        _figures.EndConnect(channel);
        context.Cancellation.ThrowIfCancellationRequested();
        if (channel.Input is { } input)
        {
            SourceReturnPath returnPath = new(input, channel.Peer, () => Step >= DeliveryStep.Device, channel.Shutdown);
            returnPath.Start();
            _returnPath = returnPath;
        }

        DemandAnswer(channel);
        context.Connected?.Invoke();
    }

    /// <summary>
    /// Sends what is known before the machine is: the destination can refuse its type, sees that a migration has begun, and can answer. Between
    /// <see cref="Connect"/> and <see cref="Send"/>, which sends it else.
    /// </summary>
    /// <exception cref="TransportException">The destination is lost.</exception>
    public void Open(StreamConfiguration configuration)
    {
        _configuration = configuration;
        Use(channel => CaptureWriter.WriteOpening(configuration, new ChannelSink(channel.Output), _returnPath is not null)).ThrowIfFailed();
        _isOpened = true;
    }

    /// <summary>Refuses a machine that the channel cannot carry.</summary>
    /// <exception cref="CaptureException">The message says which of its blocks, and what to do.</exception>
    public void Check(IOutgoingMachine machine) => machine.Check(options.Uri);

    /// <summary>Sends the machine and waits for its arrival. After <see cref="Connect"/>, once. Does not throw.</summary>
    /// <param name="machine">The machine; its RAM blocks must live until this is disposed.</param>
    /// <param name="mayGoOn">Called before each step that the destination sees; what it throws ends the delivery.</param>
    public DeliveryOutcome Send(IOutgoingMachine machine, Action<DeliveryStep>? mayGoOn = null)
    {
        try
        {
            Check(machine);
        }
        catch (CaptureException refused)
        {
            return new DeliveryOutcome(Arrival.Failed, refused);
        }

        _configuration = machine.Configuration;
        _machine = machine;
        _mayGoOn = mayGoOn;
        _figures.BeginSend();
        DeliveryOutcome outcome = Use(channel =>
        {
            Write(channel, machine);
            Confirm(channel);
        });
        if (outcome.Arrival is not (Arrival.Proved or Arrival.Unproved))
        {
            return outcome;
        }

        IsConfirmed = outcome.Arrival is Arrival.Proved;
        _figures.TryReach(DeliveryStep.Done);
        _figures.End();
        return context.State.TryDecide(IsConfirmed)
            ? outcome
            : new DeliveryOutcome(Arrival.Failed, new OperationCanceledException("stopped before it was decided"));
    }

    /// <summary>Sends no faster from now on. Any thread.</summary>
    /// <param name="parameters">Have the rate; the other values stay as they were at the start.</param>
    public void SetBandwidth(ParameterSet parameters) => _limit.BytesPerSecond = parameters.Rate();

    /// <summary>All of RAM is sent, and migrate-continue is awaited. On the sending thread.</summary>
    public void BeginPause() => _figures.TryReach(DeliveryStep.PreSwitchover);

    /// <summary>Tells the destination that this side gives up, as far as the channel can. On the sending thread, its last call.</summary>
    public void NotifyDestination()
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
        catch (MigrationException unheard)
        {
            EngineLog.DestinationNotTold(context.Log, unheard.Message);
        }
    }

    /// <summary>Makes the sending thread's channel calls return. Any thread; the token is cancelled before.</summary>
    public void Shutdown(string reason) => _channel?.Shutdown(reason);

    /// <summary>Adds the figures. Any thread.</summary>
    public MigrationInfo Describe(MigrationInfo info) => _figures.Describe(info) with
    {
        Peer = Peer,
        Mode = _channel is { } channel ? RamModes.Of(channel) : RamModes.Planned(options),
        Confirmed = info.Status is MigrationStatus.Completed ? IsConfirmed : null,
        MayHaveArrived = Step >= DeliveryStep.Confirming && _returnPath is not { IsRefused: true },
    };

    /// <summary>Closes the channel. The sending thread must have returned.</summary>
    public void Dispose()
    {
        _figures.End();
        _channel?.Dispose();
    }

    /// <summary>The destination has said so (SHUT 0), and was sent all that it loads. After the return path's join.</summary>
    private bool HasDestinationSucceeded => _returnPath is { Failure: null } && _stage >= CaptureStage.VmDescription;

    /// <summary>Uses the channel. A failure ends the return path too, which may know the reason.</summary>
    private DeliveryOutcome Use(Action<OutgoingChannel> use)
    {
        OutgoingChannel channel = _channel!;
        try
        {
            use(channel);
            return new DeliveryOutcome(HasDestinationSucceeded || channel.Output.FinishProves ? Arrival.Proved : Arrival.Unproved);
        }
        catch (Exception failed)
        {
            channel.Shutdown(failed.Message);
            _returnPath?.Join();
            return failed switch
            {
                // The machine may run there, so whatever came between is no failure.
                TransportException or OperationCanceledException when HasDestinationSucceeded => new DeliveryOutcome(Arrival.Proved),
                TransportException lost => new DeliveryOutcome(
                    _returnPath is { IsRefused: true } ? Arrival.Refused : Arrival.Failed, Failure().Explain(channel, lost, _returnPath?.Failure)),
                _ => new DeliveryOutcome(Arrival.Failed, failed),
            };
        }
    }

    private DeliveryFailure Failure() => new(Peer, _figures, _configuration?.MachineType, _machine?.Ram, _verifies);

    /// <summary>Sends all bytes. A destination whose machine has no vmdescription may leave that unread and go.</summary>
    private void Write(OutgoingChannel channel, IOutgoingMachine machine)
    {
        DeliveryStream to = new()
        {
            Channel = channel,
            IsOpened = _isOpened,
            ReturnPath = _returnPath,
            Verify = _verifies,
            OnProgress = OnProgress,
            Reach = Reach,
            Cancellation = context.Cancellation,
        };
        try
        {
            machine.Write(to);
            channel.Output.Finish();
        }
        catch (ConnectionLostException gone)
            when (gone.Loss is ConnectionLoss.Disconnected && _stage >= CaptureStage.VmDescription && !channel.Output.FinishProves)
        {
            // What it thinks of the machine is for Confirm to find out.
        }
    }

    private void OnProgress(CaptureProgress progress)
    {
        _stage = progress.Stage;
        _figures.Count(progress);
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

    private void Reach(DeliveryStep step)
    {
        if (Step < step)
        {
            _mayGoOn?.Invoke(step);
            _figures.TryReach(step);
            context.State.Follow(step);
        }
    }

    /// <summary>
    /// A port can accept connections whose program never reads, and a QEMU with multifd on waits for more connections. So the destination must answer once:
    /// the PING on the return path, or over RDMA with its first READY. Files, commands and pipes do not answer.
    /// </summary>
    private void DemandAnswer(OutgoingChannel channel)
    {
        if (_returnPath is null && channel.Ram is null)
        {
            return;
        }

        TimeSpan limit = options.Parameters.Get(MigrationParameters.AnswerTimeout);
        context.After(limit, () =>
        {
            if (!(_returnPath?.HasAnswered ?? channel.Output.SentBytes > 0))
            {
                context.Stop(
                    FailureReason.Timeout,
                    $"the destination {Peer} accepted the connection but did not answer within {limit.TotalSeconds:0.#} s; check that it is a migration "
                        + "destination, turn "
                    + "multifd off there, and check that no other migration keeps it busy; --answer-timeout allows more time");
            }
        });
    }

    /// <summary>From here on the destination has what it loads, so it can be held to a time.</summary>
    private void BeginConfirming()
    {
        TimeSpan? time = options.Parameters.Get(MigrationParameters.ConfirmTimeout) ?? (IsProvable is true ? null : MigrationParameters.CloseTimeout);
        if (Step < DeliveryStep.Confirming && time is { } limit)
        {
            context.StopAfter(
                limit,
                $"the destination neither reported nor disconnected within {limit.TotalSeconds:0.#} s after the last byte; --confirm-timeout allows more time"
                    + (IsProvable is true ? "" : ", and with --return-path a destination can report its result"));
        }

        Reach(DeliveryStep.Confirming);
    }

    private void Confirm(OutgoingChannel channel)
    {
        if (_returnPath is null)
        {
            // Whether it has failed or succeeded, it closes then; only that it is over shows.
            channel.AwaitClose();
            return;
        }

        _returnPath.Join();
        if (_returnPath.Failure is { } failure)
        {
            throw failure;
        }
    }
}
