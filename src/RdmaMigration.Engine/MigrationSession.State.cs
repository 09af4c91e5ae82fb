using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <content>Where it stands. The migration's thread and the main thread write it, any thread reads it, under one small lock that nobody keeps.</content>
internal abstract partial class MigrationSession
{
    private MigrationStatus _status = MigrationStatus.None;
    private DateTimeOffset? _reachedAt;
    private MigrationPhase _phase = MigrationPhase.Idle;
    private (FailureReason Class, string Description)? _stopped;
    private string? _error;
    private FailureReason? _errorClass;
    private TimeSpan? _errorLatency;
    private bool _isDecided;

    /// <summary>The small lock. What a query tells is written and read under it.</summary>
    protected object Gate { get; } = new();

    /// <summary>What it is at. Under <see cref="Gate"/>.</summary>
    protected MigrationPhase Phase
    {
        get => _status.IsFinal() ? MigrationPhase.Idle : _phase;
        set => _phase = value;
    }

    /// <summary>The status. Under <see cref="Gate"/>.</summary>
    protected MigrationStatus Status => _status;

    /// <summary>A snapshot. Any thread, at any time, teardown and after it included.</summary>
    public MigrationInfo Query()
    {
        lock (Gate)
        {
            return Describe(new MigrationInfo
            {
                Status = _status,
                ReachedAt = _reachedAt,
                Phase = Phase,
                ErrorDescription = _error,
                ErrorClass = _errorClass,
                ErrorLatency = _errorLatency,
            });
        }
    }

    /// <summary>Adds what the direction knows. Under <see cref="Gate"/>.</summary>
    protected abstract MigrationInfo Describe(MigrationInfo info);

    /// <summary>The migration has failed. Under <see cref="Gate"/>.</summary>
    protected abstract void OnFailed();

    /// <summary>Goes on to a status, unless a cancel came in between: then that decides.</summary>
    protected void SetStatus(MigrationStatus next)
    {
        lock (Gate)
        {
            if (!next.MayFollow(_status))
            {
                return;
            }

            _status = next;
            _reachedAt = DateTimeOffset.UtcNow;

            // Still under the lock, so that each transition is told once, as it was, and in order.
            MigrationInfo info = Query();
            _loop.Schedule(() => _changed(info));
        }
    }

    /// <summary>It cannot be stopped any more. Any thread.</summary>
    protected bool IsDecided
    {
        get
        {
            lock (Gate)
            {
                return _isDecided;
            }
        }
    }

    /// <summary>Follows a delivery, on the migration's thread.</summary>
    public void OnStep(DeliveryStep step)
    {
        switch (step)
        {
            case DeliveryStep.Setup:
                Enter(MigrationPhase.Connecting);
                break;
            case DeliveryStep.Ram:
                Enter(MigrationPhase.Sending);
                SetStatus(MigrationStatus.Active);
                break;
            case DeliveryStep.Device:
                Enter(MigrationPhase.Device);
                SetStatus(MigrationStatus.Device);
                break;
            case DeliveryStep.Confirming:
                Enter(MigrationPhase.Confirming);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(step), step, "no such step");
        }
    }

    /// <summary>Goes on to a phase. Any thread.</summary>
    public void Enter(MigrationPhase phase)
    {
        lock (Gate)
        {
            Phase = phase;
        }
    }

    /// <summary>
    /// A delivery is over. A destination that has proved that it has the machine decides: it may run there, so whoever stopped the migration has come too late,
    /// and is not told that it was stopped. Without a proof a stop that came before stands. On the migration's thread.
    /// </summary>
    /// <exception cref="OperationCanceledException">It was stopped before, and nothing is proved.</exception>
    public void OnDelivered(bool isConfirmed)
    {
        if (!isConfirmed)
        {
            Decide();
            return;
        }

        lock (Gate)
        {
            _isDecided = true;
            _stopped = null;
        }
    }

    /// <summary>It succeeds: from now on nothing stops it. On the migration's thread.</summary>
    /// <exception cref="OperationCanceledException">It was stopped before.</exception>
    public void Decide()
    {
        lock (Gate)
        {
            _isDecided = _stopped is null ? true : throw new OperationCanceledException("stopped before it was decided");
        }
    }

    /// <summary>What is to be said behind why it failed; null for nothing. Under <see cref="Gate"/>.</summary>
    /// <param name="isStopped">It was stopped from here, so what the migration itself met is not said.</param>
    protected abstract string? Remark(bool isStopped);

    private bool TryStop(FailureReason reason, string description)
    {
        lock (Gate)
        {
            if (_stopped is not null || _isDecided || _status.IsFinal())
            {
                return false;
            }

            _stopped = (reason, description);
            if (reason is FailureReason.Cancelled)
            {
                SetStatus(MigrationStatus.Cancelling);
            }

            return true;
        }
    }

    private void Fail(Exception failed, long heldAt)
    {
        lock (Gate)
        {
            (_errorClass, string reason) = _stopped is { } stopped ? stopped : ((failed as MigrationException)?.Reason ?? FailureReason.Internal, failed.Message);
            _error = reason + Remark(_stopped is not null);
            _errorLatency = failed is ConnectionLostException lost ? Stopwatch.GetElapsedTime(lost.DetectedAt, heldAt) : null;
            OnFailed();
            SetStatus(MigrationStatus.Failed);
        }

        if (_errorClass is FailureReason.Internal)
        {
            EngineLog.Defect(Log, failed);
        }

        LogFailure(_error);
    }

    private void SetFinalStatus()
    {
        MigrationStatus reached;
        bool isCancelled;
        lock (Gate)
        {
            reached = _status;
            isCancelled = reached is MigrationStatus.Cancelling && !_isDecided;
        }

        if (reached is not MigrationStatus.Failed)
        {
            SetStatus(isCancelled ? MigrationStatus.Cancelled : MigrationStatus.Completed);
        }
    }
}
