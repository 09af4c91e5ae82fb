using System.Diagnostics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Stream;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>One outgoing migration of a capture in a file: the thread mig/src/main, which loads and sends it.</summary>
internal sealed class OutgoingSession : MigrationSession, IDeliverySession
{
    private readonly string _path;
    private readonly OutgoingOptions _options;
    private readonly Delivery _delivery;
    private CaptureLoad? _load;
    private string? _machine;
    private long _ramTotal;
    private long _loadBegan;
    private TimeSpan? _loadTime;

    /// <param name="loop">Where the end is scheduled.</param>
    /// <param name="path">The capture.</param>
    /// <param name="options">Destination and limits.</param>
    /// <param name="open">Connects to the destination. Blocks.</param>
    /// <param name="log">For what happens.</param>
    /// <param name="changed">Called on the main thread after each transition.</param>
    /// <param name="ended">Called on the main thread when nothing is left of the session.</param>
    public OutgoingSession(
        MainLoop loop,
        string path,
        OutgoingOptions options,
        Func<CancellationToken, OutgoingChannel> open,
        ILogger log,
        Action<MigrationInfo> changed,
        Action<MigrationSession> ended)
        : base("mig/src/main", loop, log, changed, ended)
    {
        _path = path;
        _options = options;
        _delivery = new Delivery(options, open, this, Cancellation);
    }

    void IDeliverySession.AssertMayBlock() => AssertMayBlock();

    void IDeliverySession.StopAfter(TimeSpan time, string description) => StopAfter(time, () => true, description);

    void IDeliverySession.OnStep(DeliveryStep step)
    {
        lock (Gate)
        {
            Phase = step switch
            {
                DeliveryStep.Setup => MigrationPhase.Connecting,
                DeliveryStep.Ram => MigrationPhase.Sending,
                DeliveryStep.Device => MigrationPhase.Device,
                _ => MigrationPhase.Confirming,
            };
        }

        switch (step)
        {
            case DeliveryStep.Ram:
                SetStatus(MigrationStatus.Active);
                break;
            case DeliveryStep.Device:
                SetStatus(MigrationStatus.Device);
                break;
            case DeliveryStep.Done:
                Decide();
                break;
            default:
                break;
        }
    }

    protected override void Begin()
    {
        lock (Gate)
        {
            Phase = MigrationPhase.Loading;
            _loadBegan = Stopwatch.GetTimestamp();
        }
    }

    protected override void Work()
    {
        CapturedStream machine = Load();
        _delivery.Connect();
        _delivery.Send(machine);
    }

    protected override void AfterFailure()
    {
        try
        {
            _delivery.TellDestination();
        }
        catch (TransportException unheard)
        {
            EngineLog.DestinationNotTold(Log, _delivery.Peer, unheard.Message);
        }
    }

    protected override void Interrupt(string reason) => _delivery.Shutdown(reason);

    protected override void LogFailure(string reason) => EngineLog.SendFailed(Log, reason);

    protected override void Release()
    {
        _delivery.Dispose();
        _load?.Dispose();
    }

    protected override MigrationInfo Describe(MigrationInfo info) => _delivery.Describe(info with
    {
        IsOutgoing = true,
        Uri = _options.Uri.ToString(),
        File = _path,
        Machine = _machine,
        RamTotal = _ramTotal,
        LoadTime = _loadTime ?? Stopwatch.GetElapsedTime(_loadBegan),
        LoadedBytes = _load?.BytesRead ?? 0,
        FileBytes = _load?.Length ?? 0,
    });

    protected override string? OpenQuestion => _delivery.OpenQuestion;

    protected override void OnFailed() => _loadTime ??= Stopwatch.GetElapsedTime(_loadBegan);

    private CapturedStream Load()
    {
        var load = new CaptureLoad(_path, _options, Cancellation);
        lock (Gate)
        {
            _load = load;
        }

        CapturedStream machine = load.Load();
        if (_options.Uri is RdmaUri && Enumerable.Range(0, machine.Blocks.Count).FirstOrDefault(machine.IsLeftOut, -1) is >= 0 and int leftOut)
        {
            throw new CaptureException(
                $"{_path} leaves RAM block '{machine.Blocks[leftOut].Name}' out (x-ignore-shared), which RDMA cannot say: send it to tcp: or unix:");
        }

        lock (Gate)
        {
            _loadTime = Stopwatch.GetElapsedTime(_loadBegan);
            _machine = machine.Configuration.MachineType;
            _ramTotal = (long)machine.RamBlocks.TotalLength;
        }

        return machine;
    }
}
