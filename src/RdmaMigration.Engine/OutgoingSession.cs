using System.Diagnostics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>One outgoing migration of a capture in a file: the thread mig/src/main, which loads and sends it.</summary>
internal sealed class OutgoingSession : MigrationSession
{
    private readonly string _path;
    private readonly OutgoingOptions _options;
    private readonly Delivery _delivery;
    private readonly long _loadBegan = Stopwatch.GetTimestamp();
    private CaptureLoad? _load;
    private string? _machine;
    private long _ramTotal;
    private IReadOnlyList<RamBlockDescription> _leftOut = [];
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
        Func<OutgoingOptions, CancellationToken, OutgoingChannel> open,
        ILogger log,
        Action<MigrationInfo> changed,
        Action<MigrationSession> ended)
        : base("mig/src/main", loop, log, changed, ended)
    {
        _path = path;
        _options = options;
        _delivery = new Delivery(options, cancel => open(options with { Source = _load?.Node }, cancel), this, Cancellation);
    }

    protected override void Begin() => Enter(MigrationPhase.Loading);

    protected override void Work()
    {
        CapturedStream machine = Load();
        _delivery.Connect();
        _delivery.Send(machine);
    }

    protected override void AfterFailure() => _delivery.TellDestination();

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
        LeftOut = _leftOut,
        LoadTime = _loadTime ?? Stopwatch.GetElapsedTime(_loadBegan),
        LoadedBytes = _load?.BytesRead ?? 0,
        FileBytes = _load?.Length ?? 0,
    });

    protected override string? Remark(bool isStopped) => isStopped ? _delivery.OpenQuestion : null;

    protected override void OnFailed() => _loadTime ??= Stopwatch.GetElapsedTime(_loadBegan);

    private CapturedStream Load()
    {
        CaptureLoad load = new(_path, _options.Parameters, Cancellation);
        lock (Gate)
        {
            _load = load;
        }

        CapturedStream machine = load.Load();
        _delivery.Check(machine);
        lock (Gate)
        {
            _loadTime = Stopwatch.GetElapsedTime(_loadBegan);
            _machine = machine.Configuration.MachineType;
            _ramTotal = (long)machine.RamLength;
            _leftOut = machine.LeftOut;
        }

        EngineLog.Remarks(Log, _path, machine);

        return machine;
    }
}
