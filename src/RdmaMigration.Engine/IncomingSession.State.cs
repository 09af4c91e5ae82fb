using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Stream;

namespace RdmaMigration.Engine;

/// <content>What a query tells.</content>
internal sealed partial class IncomingSession
{
    private readonly long _connectedAt = Stopwatch.GetTimestamp();
    private RamArrival? _arrival;
    private string? _machine;
    private string? _savedAs;
    private TimeSpan? _totalTime;
    private TimeSpan? _saveTime;
    private long _saveBegan;
    private long _savedRam;
    private long _ramTotal;
    private long _ramTransferred;

    protected override MigrationInfo Describe(MigrationInfo info)
    {
        if (Phase is MigrationPhase.Ram)
        {
            _ramTransferred = Math.Min(_ramTotal, _arrival?.Estimate() ?? (_channel.RegisteredBytes + _channel.ZeroBytes + (_stream?.RamBytes ?? 0)));
        }

        return info with
        {
            Peer = _channel.Peer,
            Mode = RamModes.Of(_channel),
            ReturnPath = _returnPath is not null,
            Machine = _machine,
            RamTotal = _ramTotal,
            RamTransferred = _ramTransferred,
            RamZero = Math.Min(_ramTotal, _channel.ZeroBytes + (_stream?.RamZeroBytes ?? 0)),
            SavedBytes = _file?.Written ?? 0,
            SavedRam = _savedRam,
            TotalTime = _totalTime ?? Stopwatch.GetElapsedTime(_connectedAt),
            SaveTime = _saveTime ?? (_saveBegan == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_saveBegan)),
            File = info.Status is MigrationStatus.Completed ? _savedAs : null,
        };
    }

    protected override void OnFailed() => _totalTime ??= Stopwatch.GetElapsedTime(_connectedAt);

    private void BeginStream()
    {
        lock (Gate)
        {
            Phase = MigrationPhase.Ram;
        }

        SetStatus(MigrationStatus.Active);
    }

    private void StreamEnded()
    {
        lock (Gate)
        {
            _totalTime = Stopwatch.GetElapsedTime(_connectedAt);
            _ramTransferred = _ramTotal;
            Phase = MigrationPhase.Saving;
        }
    }

    private void SaveBegins()
    {
        lock (Gate)
        {
            _saveBegan = Stopwatch.GetTimestamp();
        }
    }

    private void SaveProgress(CaptureProgress progress)
    {
        lock (Gate)
        {
            _savedRam = (long)progress.RamDone;
        }
    }

    private void Saved(string name)
    {
        lock (Gate)
        {
            _saveTime = Stopwatch.GetElapsedTime(_saveBegan);
            _savedAs = name;
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
