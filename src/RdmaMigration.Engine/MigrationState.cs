using RdmaMigration.Linux;

namespace RdmaMigration.Engine;

/// <summary>Why a migration ends: the first reason, and whether somebody here stopped it.</summary>
internal readonly record struct FailureCause(FailureReason Reason, string Description, bool IsStopped);

/// <summary>
/// Where one migration stands: status, phase, first reason. The migration's thread and the main thread write it, any thread reads it, under a lock of its own.
/// </summary>
internal sealed class MigrationState
{
    private readonly RankedLock _gate = new(LockRank.State);
    private MigrationStatus _status = MigrationStatus.None;
    private MigrationPhase _phase = MigrationPhase.Idle;
    private DateTimeOffset? _reachedAt;
    private (FailureReason Reason, string Description)? _stopped;
    private FailureReason? _reason;
    private string? _error;
    private TimeSpan? _errorLatency;
    private bool _isDecided;
    private bool _isSettled;
    private bool _isCancelledInPause;

    /// <summary>Called with a snapshot at each transition, in order, with this state locked: it may only schedule. Set before the first transition.</summary>
    public Action<MigrationInfo>? Changed { get; set; }

    /// <summary>Nothing stops the migration any more.</summary>
    public bool IsDecided
    {
        get
        {
            using (_gate.Enter())
            {
                return _isDecided;
            }
        }
    }

    /// <summary>What a query answers, without the figures.</summary>
    public MigrationInfo Snapshot()
    {
        using (_gate.Enter())
        {
            return new MigrationInfo
            {
                Status = _status,
                ReachedAt = _reachedAt,
                Phase = _status.IsFinal() ? MigrationPhase.Idle : _phase,
                IsDecided = _isDecided,
                ErrorDescription = _error,
                ErrorClass = _reason,
                ErrorLatency = _errorLatency,
                IsCancelledInPause = _isCancelledInPause,
            };
        }
    }

    /// <summary>Goes on to a status, unless a cancel came in between: then the cancel decides.</summary>
    public void GoTo(MigrationStatus next)
    {
        using (_gate.Enter())
        {
            if (next.MayFollow(_status))
            {
                _status = next;
                _reachedAt = DateTimeOffset.UtcNow;
                Changed?.Invoke(Snapshot());
            }
        }
    }

    /// <summary>Goes on to a phase.</summary>
    public void Enter(MigrationPhase phase)
    {
        using (_gate.Enter())
        {
            _phase = phase;
        }
    }

    /// <summary>Follows a delivery: phase and status.</summary>
    public void Follow(DeliveryStep step)
    {
        switch (step)
        {
            case DeliveryStep.Setup:
                Enter(MigrationPhase.Connecting);
                break;
            case DeliveryStep.Ram:
                Enter(MigrationPhase.Sending);
                GoTo(MigrationStatus.Active);
                break;
            case DeliveryStep.PreSwitchover:
                Enter(MigrationPhase.PreSwitchover);
                GoTo(MigrationStatus.PreSwitchover);
                break;
            case DeliveryStep.Device:
                Enter(MigrationPhase.Device);
                GoTo(MigrationStatus.Device);
                break;
            case DeliveryStep.Confirming:
                Enter(MigrationPhase.Confirming);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(step), step, "no such step");
        }
    }

    /// <summary>Notes that somebody here ends the migration, and why. False when it is too late, or a reason is there already.</summary>
    public bool TryStop(FailureReason reason, string description)
    {
        using (_gate.Enter())
        {
            if (_stopped is not null || _isDecided || _isSettled || _status.IsFinal())
            {
                return false;
            }

            _stopped = (reason, description);
            if (reason is FailureReason.Cancelled)
            {
                _isCancelledInPause = _status is MigrationStatus.PreSwitchover;
                GoTo(MigrationStatus.Cancelling);
            }

            return true;
        }
    }

    /// <summary>
    /// From now on nothing stops the migration. A stop that came before stands, unless the fact that decides is final; then it was too late, and its reason is
    /// dropped.
    /// </summary>
    /// <param name="isFinal">
    /// The destination has proved that it has the machine and may run it, or the whole machine is here and its source has ended it.
    /// </param>
    /// <returns>False when it was stopped before.</returns>
    public bool TryDecide(bool isFinal = false)
    {
        using (_gate.Enter())
        {
            if (_stopped is not null && !isFinal)
            {
                return false;
            }

            _stopped = null;
            return _isDecided = true;
        }
    }

    /// <summary>The same, where nothing is final yet.</summary>
    /// <exception cref="OperationCanceledException">It was stopped before.</exception>
    public void Decide()
    {
        if (!TryDecide())
        {
            throw new OperationCanceledException("stopped before it was decided");
        }
    }

    /// <summary>The migration has failed: fixes the first reason, that of a stop before the exception's.</summary>
    public FailureCause Settle(Exception failed)
    {
        using (_gate.Enter())
        {
            _isSettled = true;
            return _stopped is { } stopped
                ? new FailureCause(stopped.Reason, stopped.Description, IsStopped: true)
                : new FailureCause((failed as MigrationException)?.Reason ?? FailureReason.Internal, failed.Message, IsStopped: false);
        }
    }

    /// <summary>Notes the failure, once.</summary>
    public void Fail(FailureReason reason, string description, TimeSpan? latency)
    {
        using (_gate.Enter())
        {
            if (_error is null)
            {
                (_reason, _error, _errorLatency) = (reason, description, latency);
                GoTo(MigrationStatus.Failed);
            }
        }
    }

    /// <summary>Everything is torn down: goes on to the last status.</summary>
    public void Finish()
    {
        using (_gate.Enter())
        {
            if (_status is not MigrationStatus.Failed)
            {
                GoTo(_status is MigrationStatus.Cancelling && !_isDecided ? MigrationStatus.Cancelled : MigrationStatus.Completed);
            }
        }
    }
}
