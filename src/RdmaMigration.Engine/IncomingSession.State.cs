using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <content>What a query tells.</content>
internal sealed partial class IncomingSession
{
    private readonly long _connectedAt = Stopwatch.GetTimestamp();
    private RamArrival? _arrival;
    private string? _machine;
    private TimeSpan? _totalTime;
    private IReadOnlyList<RamBlockDescription> _leftOut = [];
    private long _ramTotal;
    private long _ramTransferred;

    protected override MigrationInfo Describe(MigrationInfo info)
    {
        if (Phase is MigrationPhase.Ram)
        {
            _ramTransferred = Math.Min(_ramTotal, _arrival?.Estimate() ?? ((_channel.Ram?.RegisteredBytes ?? 0) + ZeroBesides + (_stream?.RamBytes ?? 0)));
        }

        return _sink.Describe(info with
        {
            Peer = _channel.Peer,
            Mode = RamModes.Of(_channel),
            ReturnPath = _returnPath is not null,
            Machine = _machine,
            RamTotal = _ramTotal,
            LeftOut = _leftOut,
            RamTransferred = _ramTransferred,
            RamZero = Math.Min(_ramTotal, ZeroBesides + (_stream?.RamZeroBytes ?? 0)),
            TotalTime = _totalTime ?? Stopwatch.GetElapsedTime(_connectedAt),
        });
    }

    private long ZeroBesides => _channel.Ram?.ZeroBytes ?? 0;

    protected override void OnFailed() => _totalTime = Stopwatch.GetElapsedTime(_connectedAt);

    private void BeginStream()
    {
        lock (Gate)
        {
            Phase = MigrationPhase.Ram;
        }

        SetStatus(MigrationStatus.Active);
    }

    private void StreamEnded(CapturedStream captured)
    {
        lock (Gate)
        {
            _leftOut = captured.LeftOut;
            _ramTotal = (long)captured.RamLength;
            _totalTime = Stopwatch.GetElapsedTime(_connectedAt);
            _ramTransferred = _ramTotal;
        }
    }

    private RamBlockList? TakeBlocks()
    {
        lock (Gate)
        {
            RamBlockList? blocks = _blocks;
            _blocks = null;
            _arrival = null;
            return blocks;
        }
    }
}
