using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// Sends a machine that arrives on to another host. The destination is reached, and gets the stream's opening, before RAM is taken in: one that is not there,
/// or has another machine type, fails the migration while the source still runs its machine. A source that waits to be told how it ends is promised that it may
/// let its machine go when it is told so: then the destination has proved that it has it, or the machine was saved here.
/// </summary>
/// <param name="target">Where to.</param>
/// <param name="delivery">To the destination. Owned.</param>
/// <param name="context">Whose migration it is.</param>
/// <param name="source">Whose machine it is.</param>
/// <param name="sourceFile">The file that the machine comes from, which the destination may not overwrite; null for none.</param>
internal sealed class MachineRelay(RelayTarget target, Delivery delivery, MigrationContext context, IncomingSource source, FileNode? sourceFile) : IMachineSink
{
    /// <summary>How soon it shows that the destination went away while the machine arrives, or the source while it is sent on; either may take hours.</summary>
    private static readonly TimeSpan s_watchInterval = TimeSpan.FromSeconds(1);

    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private volatile bool _isSending;
    private volatile string? _remark;
    private volatile string? _savedAs;

    public void Begin()
    {
    }

    public void Announce(StreamConfiguration configuration)
    {
        if (target.Outgoing.Uri.IsRdma && configuration.IgnoresShared && target.Rescue is null)
        {
            throw new TransportException(
                FailureReason.Policy,
                $"the source {source.Peer} has capability x-ignore-shared on, which RDMA cannot carry to {target.Outgoing.Uri}: turn it off there, "
                + "relay to tcp: or unix:, or give --rescue");
        }

        delivery.Connect(sourceFile);
        if (WhyNotProvable is { } refusal)
        {
            throw refusal;
        }

        delivery.Open(configuration);
        context.State.Enter(MigrationPhase.Ram);
        context.After(s_watchInterval, Watch);
    }

    public void CheckRoom(ulong ramBytes)
    {
        if (!source.WaitsForResult || delivery.IsProvable is false)
        {
            target.Rescue?.CheckRoom(ramBytes);
        }
    }

    public void Take(IMachine arrived)
    {
        CapturedStream machine = arrived.Content!;
        using IDisposable? watch = source.Watch();
        _isSending = true;
        DeliveryOutcome outcome = Deliver(machine);
        bool sourceWaits = source is { WaitsForResult: true, Loss: null };
        switch (MachineFates.After(outcome.Arrival, sourceWaits, canSave: target.Rescue is not null))
        {
            case MachineFate.AtDestination:
                break;
            case MachineFate.AlsoSaved:
                if (TrySave(machine) is { } notSaved)
                {
                    // Nothing is certain then, and it is no success.
                    _remark = delivery.OpenQuestion + (source.WaitsForResult ? SourceGoesOn : "");
                    throw notSaved;
                }

                break;
            case MachineFate.AtSource:
                _remark = SourceGoesOn;
                break;
            case MachineFate.Saved:
                _remark = TrySave(machine) is { } failed
                    ? $"; the machine could not be saved: {failed.Message}"
                    : $"; the machine is saved in {_savedAs}; 'rdmamig send' can send it";
                break;
            case MachineFate.Unsaved:
                _remark = source.WaitsForResult
                    ? $"; if the source {source.Peer} no longer has the machine, it is lost; --rescue would have saved it"
                    : $"; the source {source.Peer} has no return path, so it gets no result and may have deleted the machine; --rescue would have saved it";
                break;
            default:
                throw new InvalidOperationException($"a machine was sent on, and it is unknown what becomes of it: {outcome}");
        }

        outcome.ThrowIfFailed();
    }

    public void AfterFailure() => delivery.NotifyDestination();

    public void Interrupt(string reason) => delivery.Shutdown(reason);

    public string? Remark(bool isStopped) => (isStopped ? delivery.OpenQuestion : null) + _remark;

    public MigrationInfo Describe(MigrationInfo info)
    {
        MigrationInfo destination = delivery.Describe(new MigrationInfo
        {
            Status = info.Status,
            IsOutgoing = true,
            Uri = target.Outgoing.Uri.ToString(),
            Machine = info.Machine,
            RamTotal = info.RamTotal,
        });
        return info with { Destination = destination, Confirmed = destination.Confirmed, File = _savedAs };
    }

    public void Dispose() => delivery.Dispose();

    /// <summary>A source that waits for the result went away while its machine was sent on: it may have been cancelled there, and runs it.</summary>
    private SourceGoneException? LostSource => _isSending && source is { WaitsForResult: true, Loss: { } lost }
        ? new SourceGoneException(
            $"the source disconnected before it got a result ({lost.Message}) and may resume its machine, so the destination {delivery.Peer} does not start it")
        : null;

    private string SourceGoesOn => $"; the source {source.Peer} gets this result and keeps its machine";

    /// <summary>
    /// A source that waits for the result lets its machine go when it is told of success, so the destination must be able to prove that. Without such a source
    /// nobody is promised anything: the machine is sent on, and the result says whether that is confirmed, as when the source migrates there itself.
    /// </summary>
    private TransportException? WhyNotProvable => source.WaitsForResult && delivery.IsProvable is false && target.Rescue is null
        ? new TransportException(
            FailureReason.Policy,
            $"the source {source.Peer} waits for a result, and the destination {delivery.Peer} cannot report one; turn return-path on there "
            + "and give --return-path, or give --rescue to keep a copy here")
        : null;

    private DeliveryOutcome Deliver(CapturedStream machine) =>
        context.Cancellation.IsCancellationRequested ? new DeliveryOutcome(Arrival.Failed, new OperationCanceledException(context.Cancellation))
        : WhyNotProvable is { } refusal ? new DeliveryOutcome(Arrival.Failed, refusal)
        : delivery.Send(new OutgoingCapture(machine), MayGoOn);

    /// <summary>A destination starts the machine once it has its device state: the last moment to look is before that is sent.</summary>
    private void MayGoOn(DeliveryStep step)
    {
        if (step <= DeliveryStep.Device && LostSource is { } gone)
        {
            throw gone;
        }
    }

    /// <summary>
    /// Main thread, until the destination has everything. While the machine arrives, its thread learns of the source by itself; while it is sent on, of the
    /// destination.
    /// </summary>
    private void Watch()
    {
        if (delivery.Step >= DeliveryStep.Confirming)
        {
            return;
        }

        if ((_isSending ? LostSource : delivery.Loss) is { } loss)
        {
            context.Stop(loss.Reason, loss.Message);
        }
        else
        {
            context.After(s_watchInterval, Watch);
        }
    }

    /// <summary>Saves the machine, cancelled or not. Returns why it could not; null when it is saved.</summary>
    private StorageException? TrySave(CapturedStream machine)
    {
        CaptureTarget rescue = target.Rescue!;
        context.State.Enter(MigrationPhase.Saving);
        try
        {
            using CaptureFile file = new(rescue, context.OnLeftBehind);
            CaptureWriter.Write(machine, file);
            try
            {
                file.Commit(rescue, machine.Configuration.MachineType, _start, source.Peer, static () => { });
            }
            finally
            {
                _savedAs = file.StandsAt;
            }

            return null;
        }
        catch (StorageException failed)
        {
            return failed;
        }
    }
}

/// <summary>The source went away while its machine was sent on, and may go on with it.</summary>
internal sealed class SourceGoneException(string message) : MigrationException(FailureReason.Disconnected, message);
