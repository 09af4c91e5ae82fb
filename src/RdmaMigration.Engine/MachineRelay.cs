using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// Sends a machine that arrives on to another host. The destination is reached, and gets the stream's opening, before RAM is taken in: one that is not there,
/// or has another machine type, fails the migration while the source still runs its machine. A source that waits to be told how it ends is promised that it may
/// let its machine go when it is told so: then the destination has proved that it has it, or the machine was saved here.
/// </summary>
internal sealed class MachineRelay : IMachineSink, IDeliverySession
{
    /// <summary>How soon it shows that the destination went away while the machine arrives, or the source while it is sent on; either may take hours.</summary>
    private static readonly TimeSpan s_watchInterval = TimeSpan.FromSeconds(1);

    private readonly RelayTarget _target;
    private readonly IMachineSession _session;
    private readonly Delivery _delivery;
    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private volatile bool _isSending;
    private volatile string? _remark;
    private volatile string? _rescuedAs;

    /// <param name="target">Where to.</param>
    /// <param name="open">Connects to the destination. Blocks.</param>
    /// <param name="session">Whose machine it is.</param>
    public MachineRelay(RelayTarget target, Func<CancellationToken, OutgoingChannel> open, IMachineSession session)
    {
        _target = target;
        _session = session;
        _delivery = new Delivery(target.Outgoing, open, this, session.Cancellation);
    }

    public void Begin()
    {
    }

    public void Announce(StreamConfiguration configuration)
    {
        _delivery.Connect();
        CheckProof();
        _delivery.Open(configuration);
        _session.Enter(MigrationPhase.Ram);
        _session.After(s_watchInterval, Watch);
    }

    public void CheckRoom(ulong ramBytes)
    {
        if (!_session.TellsSource || _delivery.IsProvable is false)
        {
            _target.Rescue?.CheckRoom(ramBytes);
        }
    }

    public void Take(CapturedStream machine)
    {
        using IDisposable? watch = _session.WatchSource();
        _isSending = true;
        try
        {
            _session.Cancellation.ThrowIfCancellationRequested();
            CheckProof();
            _delivery.Send(machine);
        }
        catch when (_session is { TellsSource: true, SourceLoss: null })
        {
            _remark = SourceGoesOn;
            throw;
        }
        catch
        {
            _remark = Rescue(machine);
            throw;
        }

        if (!_delivery.IsConfirmed && _target.Rescue is { } target)
        {
            Keep(machine, target);
        }
    }

    public void AfterFailure() => _delivery.TellDestination();

    public void Interrupt(string reason) => _delivery.Shutdown(reason);

    public string? Remark(bool isStopped) => (isStopped ? _delivery.OpenQuestion : null) + _remark;

    public MigrationInfo Describe(MigrationInfo info)
    {
        MigrationInfo destination = _delivery.Describe(new MigrationInfo
        {
            Status = info.Status,
            IsOutgoing = true,
            Uri = _target.Outgoing.Uri.ToString(),
            Machine = info.Machine,
            RamTotal = info.RamTotal,
        });
        return info with { Destination = destination, Confirmed = destination.Confirmed, File = _rescuedAs };
    }

    public void Dispose() => _delivery.Dispose();

    void IDeliverySession.OnStep(DeliveryStep step)
    {
        // A destination starts the machine once it has its device state: the last moment to look is before that is sent.
        if (step <= DeliveryStep.Device && LostSource is { } gone)
        {
            throw gone;
        }

        _session.OnStep(step);
    }

    void IDeliverySession.OnDelivered(bool isConfirmed) => _session.OnDelivered(isConfirmed);

    void IDeliverySession.StopAfter(TimeSpan time, string description) => _session.StopAfter(time, description);

    void IDeliverySession.OnDestinationNotTold(string reason) => _session.OnDestinationNotTold(reason);

    void IDeliverySession.OnLeftBehind(string what) => _session.OnLeftBehind(what);

    /// <summary>A source that is to be told went away while its machine was sent on: it may have been cancelled there, and runs it.</summary>
    private SourceGoneException? LostSource => _isSending && _session is { TellsSource: true, SourceLoss: { } lost }
        ? new SourceGoneException(
            $"the source went away before it was told how its machine arrives ({lost.Message}) and may go on with it, so the destination {_delivery.Peer} is not let start it")
        : null;

    private string SourceGoesOn => $"; the source {_session.Source} is told, and goes on with its machine";

    /// <summary>
    /// Without a source that waits to be told, nobody is promised anything: the machine is sent on, and the result says whether that is confirmed. That is what
    /// the source has when it migrates to such a destination itself.
    /// </summary>
    private void CheckProof()
    {
        if (_session.TellsSource && _delivery.IsProvable is false && _target.Rescue is null)
        {
            throw new TransportException(
                FailureReason.Policy,
                $"the source {_session.Source} waits to be told how its machine arrives, and the destination {_delivery.Peer} cannot say: turn return-path on there "
                + "and give --return-path, or give --rescue to keep the machine here until you have looked");
        }
    }

    /// <summary>
    /// Main thread, until the destination has everything. While the machine arrives, its thread learns of the source by itself; while it is sent on, of the
    /// destination.
    /// </summary>
    private void Watch()
    {
        if (_delivery.Step >= DeliveryStep.Confirming)
        {
            return;
        }

        if ((_isSending ? LostSource : _delivery.Loss) is { } loss)
        {
            _session.Stop(loss.Reason, loss.Message);
        }
        else
        {
            _session.After(s_watchInterval, Watch);
        }
    }

    /// <summary>Saves what nobody else may have any more, cancelled or not. Returns what to say.</summary>
    private string Rescue(CapturedStream machine)
    {
        if (_target.Rescue is not { } target)
        {
            return _session.TellsSource
                ? $"; if the source {_session.Source} has lost the machine, it is gone: --rescue would have saved it"
                : $"; the source {_session.Source} has no return path, so it cannot be told and may have let the machine go: --rescue would have saved it";
        }

        try
        {
            Save(machine, target);
            return $"; the machine is safe in {_rescuedAs}, from where 'rdmamig send' can send it";
        }
        catch (StorageException failed)
        {
            return $"; the machine could not be rescued: {failed.Message}";
        }
    }

    /// <summary>Saves what the destination has taken without a proof. Where that fails too, nothing is certain, and it is no success.</summary>
    private void Keep(CapturedStream machine, CaptureTarget target)
    {
        try
        {
            Save(machine, target);
        }
        catch (StorageException)
        {
            _remark = _delivery.OpenQuestion + (_session.TellsSource ? SourceGoesOn : "");
            throw;
        }
    }

    private void Save(CapturedStream machine, CaptureTarget target)
    {
        _session.Enter(MigrationPhase.Saving);
        using CaptureFile file = new(target, _session.OnLeftBehind, CancellationToken.None);
        CaptureWriter.Write(machine, file);
        try
        {
            file.Commit(target, machine.Configuration.MachineType, _start, _session.Source, static () => { });
        }
        finally
        {
            _rescuedAs = file.StandsAt;
        }
    }
}

/// <summary>The source went away while its machine was sent on, and may go on with it.</summary>
internal sealed class SourceGoneException(string message) : MigrationException(FailureReason.Disconnected, message);
