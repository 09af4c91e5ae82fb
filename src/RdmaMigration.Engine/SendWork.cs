using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>Sends a machine that does not run, on the thread mig/src/main: takes it from its origin, then delivers it.</summary>
/// <param name="context">The migration.</param>
/// <param name="origin">Where the machine is. Owned.</param>
/// <param name="options">Destination and limits.</param>
/// <param name="delivery">To the destination. Owned.</param>
internal sealed class SendWork(MigrationContext context, IMachineOrigin origin, OutgoingOptions options, Delivery delivery) : IMigrationWork
{
    private readonly RankedLock _gate = new(LockRank.Figures);
    private readonly SwitchoverGate _pause = new(context);
    private string? _machineType;
    private long _ramTotal;
    private IReadOnlyList<RamBlockDescription> _leftOut = [];

    public string ThreadName => "mig/src/main";

    public void Begin() => context.State.Enter(origin.Phase);

    public void Run()
    {
        OutgoingCapture machine = Load();
        delivery.Connect(origin.File);
        delivery.Send(machine, options.Parameters.Get(MigrationParameters.PauseBeforeSwitchover) ? Pause : null).ThrowIfFailed();
    }

    public void AfterFailure() => delivery.NotifyDestination();

    public void Interrupt(string reason) => delivery.Shutdown(reason);

    public bool TryContinue() => _pause.TryContinue();

    public void SetLimits(ParameterSet parameters) => delivery.SetBandwidth(parameters);

    /// <summary>Nothing to do: a source reports nothing but ERROR, which is bounded.</summary>
    public void LimitReport(string reason)
    {
    }

    public string? OnFailed(bool isStopped)
    {
        origin.EndLoad();
        return isStopped ? delivery.OpenQuestion : null;
    }

    public void LogFailure(string reason) => EngineLog.SendFailed(context.Log, reason);

    public MigrationInfo Describe(MigrationInfo info)
    {
        using (_gate.Enter())
        {
            info = info with
            {
                IsOutgoing = true,
                Uri = options.Uri.ToString(),
                Machine = _machineType,
                RamTotal = _ramTotal,
                LeftOut = _leftOut,
            };
        }

        return delivery.Describe(origin.Describe(info));
    }

    public void Dispose()
    {
        delivery.Dispose();
        origin.Dispose();
        _pause.Dispose();
    }

    private void Pause(DeliveryStep next)
    {
        if (next is DeliveryStep.Device)
        {
            delivery.BeginPause();
            _pause.Await(() => delivery.Loss);
        }
    }

    private OutgoingCapture Load()
    {
        CapturedStream loaded = origin.Load();
        OutgoingCapture machine = new(loaded) { RunState = origin.RunState };
        delivery.Check(machine);
        origin.EndLoad();
        using (_gate.Enter())
        {
            _machineType = loaded.Configuration.MachineType;
            _ramTotal = (long)loaded.RamLength;
            _leftOut = loaded.LeftOut;
        }

        foreach (string capability in loaded.Configuration.Capabilities)
        {
            EngineLog.NeedsCapability(context.Log, origin.Name, capability);
        }

        EngineLog.Remarks(context.Log, origin.Name, loaded);
        return machine;
    }
}
