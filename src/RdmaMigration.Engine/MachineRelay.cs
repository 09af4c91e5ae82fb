using RdmaMigration.Stream;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// Sends a machine that arrives on to another host. The destination is reached, and gets the stream's opening, before RAM is taken in: one that is not there,
/// or has another machine type, fails the migration while the source still runs its machine.
/// </summary>
internal sealed class MachineRelay : IMachineSink
{
    /// <summary>How soon it shows that the destination went away while the machine arrives, which may take hours.</summary>
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
        _delivery = new Delivery(target.Outgoing, open, session, session.Cancellation);
    }

    public void Begin()
    {
    }

    public void Announce(StreamConfiguration configuration)
    {
        _delivery.Connect();
        _delivery.Open(configuration);
        _session.Enter(MigrationPhase.Ram);
        _session.After(s_watchInterval, Watch);
    }

    public void CheckRoom(ulong ramBytes)
    {
        if (!_session.TellsSource)
        {
            _target.Rescue?.CheckRoom(ramBytes);
        }
    }

    public void Take(CapturedStream machine)
    {
        _isSending = true;
        try
        {
            _delivery.Send(machine);
        }
        catch when (_session.TellsSource)
        {
            _remark = $"; the source {_session.Source} is told, and goes on with its machine";
            throw;
        }
        catch
        {
            _remark = Rescue(machine);
            throw;
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

    /// <summary>Main thread. Once it is being sent to, the thread that sends learns it by itself.</summary>
    private void Watch()
    {
        if (_isSending)
        {
            return;
        }

        if (_delivery.Loss is { } loss)
        {
            _session.Stop(MigrationSession.Classify(loss), loss.Message);
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
            return $"; the source {_session.Source} has no return path, so it cannot be told and may have let the machine go: --rescue would have saved it";
        }

        _session.Enter(MigrationPhase.Saving);
        try
        {
            using var file = new CaptureFile(target, CancellationToken.None);
            CaptureWriter.Write(machine, file);
            _rescuedAs = file.Commit(target, machine.Configuration.MachineType, _start, _session.Source, static () => { });
            return $"; the machine is safe in {_rescuedAs}, from where 'rdmamig send' can send it";
        }
        catch (StorageException failed)
        {
            return $"; the machine could not be rescued: {failed.Message}";
        }
    }
}
