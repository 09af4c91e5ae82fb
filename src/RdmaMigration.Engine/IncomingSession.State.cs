using System.Diagnostics;
using RdmaMigration.Memory;
using RdmaMigration.Stream;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <content>What a query tells. The receive thread and the main thread write it, any thread reads it, under one small lock that nobody keeps.</content>
internal sealed partial class IncomingSession
{
    private readonly object _gate = new();
    private readonly long _connectedAt = Stopwatch.GetTimestamp();
    private MigrationStatus _status = MigrationStatus.None;
    private DateTimeOffset? _reachedAt;
    private MigrationPhase _phase = MigrationPhase.Idle;
    private RamArrival? _arrival;
    private string? _machine;
    private string? _savedAs;
    private string? _error;
    private MigrationErrorClass? _errorClass;
    private TimeSpan? _errorLatency;
    private (MigrationErrorClass Class, string Description)? _stopped;
    private TimeSpan? _totalTime;
    private TimeSpan? _saveTime;
    private long _saveBegan;
    private long _savedRam;
    private long _ramTotal;
    private long _ramTransferred;

    /// <summary>A snapshot. Any thread, at any time, teardown and after it included.</summary>
    public MigrationInfo Query()
    {
        lock (_gate)
        {
            if (_phase is MigrationPhase.Ram)
            {
                _ramTransferred = Math.Min(_ramTotal, _arrival?.Estimate() ?? (_channel.RegisteredBytes + _channel.ZeroBytes));
            }

            return new MigrationInfo
            {
                Status = _status,
                ReachedAt = _reachedAt,
                Phase = _status.IsFinal() ? MigrationPhase.Idle : _phase,
                Peer = _channel.Peer,
                PinAll = _channel.PinAll,
                ReturnPath = _returnPath is not null,
                Machine = _machine,
                RamTotal = _ramTotal,
                RamTransferred = _ramTransferred,
                RamZero = Math.Min(_ramTotal, _channel.ZeroBytes),
                SavedBytes = _file?.Written ?? 0,
                SavedRam = _savedRam,
                TotalTime = _totalTime ?? Stopwatch.GetElapsedTime(_connectedAt),
                SaveTime = _saveTime ?? (_saveBegan == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_saveBegan)),
                File = _status is MigrationStatus.Completed ? _savedAs : null,
                ErrorDescription = _error,
                ErrorClass = _errorClass,
                ErrorLatency = _errorLatency,
            };
        }
    }

    private void SetStatus(MigrationStatus next)
    {
        lock (_gate)
        {
            if (!next.MayFollow(_status))
            {
                // A cancel came in between: it decides.
                return;
            }

            _status = next;
            _reachedAt = DateTimeOffset.UtcNow;
            _phase = next is MigrationStatus.Active ? MigrationPhase.Ram : _phase;
        }

        Report();
    }

    private void Report()
    {
        MigrationInfo info = Query();
        _loop.Schedule(() => _changed(info));
    }

    private bool TryStop(MigrationErrorClass reason, string description)
    {
        lock (_gate)
        {
            if (_stopped is not null || _savedAs is not null || _status.IsFinal())
            {
                return false;
            }

            _stopped = (reason, description);
        }

        if (reason is MigrationErrorClass.Cancelled)
        {
            SetStatus(MigrationStatus.Cancelling);
        }

        return true;
    }

    private void StreamEnded()
    {
        lock (_gate)
        {
            _totalTime = Stopwatch.GetElapsedTime(_connectedAt);
            _ramTransferred = _ramTotal;
            _phase = MigrationPhase.Saving;
        }
    }

    private void SaveBegins()
    {
        lock (_gate)
        {
            _saveBegan = Stopwatch.GetTimestamp();
        }
    }

    private void SaveProgress(CaptureProgress progress)
    {
        lock (_gate)
        {
            _savedRam = (long)progress.RamDone;
        }
    }

    private void Saved(string name)
    {
        lock (_gate)
        {
            _saveTime = Stopwatch.GetElapsedTime(_saveBegan);
            _savedAs = name;
        }
    }

    private void Fail(Exception failed, long heldAt)
    {
        lock (_gate)
        {
            (_errorClass, _error) = _stopped is { } stopped ? (stopped.Class, stopped.Description) : (Classify(failed), failed.Message);
            _errorLatency = failed is ConnectionLostException lost ? Stopwatch.GetElapsedTime(lost.DetectedAt, heldAt) : null;
            _totalTime ??= Stopwatch.GetElapsedTime(_connectedAt);
        }

        SetStatus(MigrationStatus.Failed);
        if (_errorClass is MigrationErrorClass.Internal)
        {
            EngineLog.Defect(_log, failed);
        }

        EngineLog.LoadFailed(_log, _error);
    }

    private static MigrationErrorClass Classify(Exception failed) => failed switch
    {
        ConnectionLostException { Loss: ConnectionLoss.Disconnected or ConnectionLoss.PeerError } => MigrationErrorClass.Disconnected,
        ConnectionLostException => MigrationErrorClass.Unreachable,
        StreamFormatException => MigrationErrorClass.Stream,
        RamAllocationException or RegistrationException => MigrationErrorClass.Memory,
        TransportException => MigrationErrorClass.Protocol,
        StorageException => MigrationErrorClass.Storage,
        _ => MigrationErrorClass.Internal,
    };

    private RamBlockList? TakeBlocks()
    {
        lock (_gate)
        {
            RamBlockList? blocks = _blocks;
            _blocks = null;
            _arrival = null;
            return blocks;
        }
    }

    private void SetFinalStatus()
    {
        MigrationStatus reached;
        lock (_gate)
        {
            reached = _status;
        }

        if (reached is not MigrationStatus.Failed)
        {
            SetStatus(reached is MigrationStatus.Cancelling ? MigrationStatus.Cancelled : MigrationStatus.Completed);
        }
    }
}
