using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>Sends a capture out of a file, on the thread mig/src/main: loads it, then delivers it.</summary>
/// <param name="context">The migration.</param>
/// <param name="path">The capture.</param>
/// <param name="options">Destination and limits.</param>
/// <param name="machine">Takes what the capture has. Owned.</param>
/// <param name="delivery">To the destination. Owned.</param>
internal sealed class SendWork(MigrationContext context, string path, OutgoingOptions options, IMachine machine, Delivery delivery) : IMigrationWork
{
    private readonly object _gate = new();
    private readonly long _loadBegan = Stopwatch.GetTimestamp();
    private CaptureLoad? _load;
    private string? _machineType;
    private long _ramTotal;
    private IReadOnlyList<RamBlockDescription> _leftOut = [];
    private TimeSpan? _loadTime;

    public string ThreadName => "mig/src/main";

    public void Begin() => context.State.Enter(MigrationPhase.Loading);

    public void Run()
    {
        CapturedStream loaded = Load();
        delivery.Connect(_load!.Node);
        delivery.Send(new OutgoingCapture(loaded)).ThrowIfFailed();
    }

    public void AfterFailure() => delivery.TellDestination();

    public void Interrupt(string reason) => delivery.Shutdown(reason);

    /// <summary>Nothing to do: a source reports nothing but ERROR, which is bounded.</summary>
    public void LimitReport(string reason)
    {
    }

    public string? OnFailed(bool isStopped)
    {
        lock (_gate)
        {
            _loadTime ??= Stopwatch.GetElapsedTime(_loadBegan);
        }

        return isStopped ? delivery.OpenQuestion : null;
    }

    public void LogFailure(string reason) => EngineLog.SendFailed(context.Log, reason);

    public MigrationInfo Describe(MigrationInfo info)
    {
        lock (_gate)
        {
            info = info with
            {
                IsOutgoing = true,
                Uri = options.Uri.ToString(),
                File = path,
                Machine = _machineType,
                RamTotal = _ramTotal,
                LeftOut = _leftOut,
                LoadTime = _loadTime ?? Stopwatch.GetElapsedTime(_loadBegan),
                LoadedBytes = _load?.BytesRead ?? 0,
                FileBytes = _load?.Length ?? 0,
            };
        }

        return delivery.Describe(info);
    }

    public void Dispose()
    {
        delivery.Dispose();
        _load?.Dispose();
        machine.Dispose();
    }

    private CapturedStream Load()
    {
        CaptureLoad load = new(path, options.Parameters, machine, context.Cancellation);
        lock (_gate)
        {
            _load = load;
        }

        CapturedStream loaded = load.Load();
        delivery.Check(new OutgoingCapture(loaded));
        lock (_gate)
        {
            _loadTime = Stopwatch.GetElapsedTime(_loadBegan);
            _machineType = loaded.Configuration.MachineType;
            _ramTotal = (long)loaded.RamLength;
            _leftOut = loaded.LeftOut;
        }

        foreach (string capability in loaded.Configuration.Capabilities)
        {
            EngineLog.NeedsCapability(context.Log, path, capability);
        }

        EngineLog.Remarks(context.Log, path, loaded);
        return loaded;
    }
}
