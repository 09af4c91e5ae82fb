namespace RdmaMigration.Engine;

/// <summary>
/// Sends a machine that runs, on the thread mig/src/main. Whatever fails before the destination can have started the machine, the machine goes on here; after
/// that it stays stopped unless the destination refuses it, so that it never runs on both sides.
/// </summary>
/// <param name="context">The migration.</param>
/// <param name="options">Destination and limits.</param>
/// <param name="machine">The machine. Not owned.</param>
/// <param name="delivery">To the destination. Owned.</param>
internal sealed class LiveSendWork(MigrationContext context, OutgoingOptions options, ILiveMachine machine, Delivery delivery) : IMigrationWork
{
    /// <summary>How long a cancel waits for the result of a destination that has everything.</summary>
    private static readonly TimeSpan s_reportTime = TimeSpan.FromSeconds(2);

    private const string GoesOn = "; the machine goes on here";

    private readonly LiveFigures _figures = new(context.PassBegan);
    private Switchover? _switchover;
    private string _remark = GoesOn;

    public string ThreadName => "mig/src/main";

    public void Begin() => _switchover = new Switchover(context, machine, _figures)
    {
        DowntimeLimit = options.Parameters.Get(MigrationParameters.DowntimeLimit),
    };

    public void Run()
    {
        delivery.Connect(source: null);
        DeliveryOutcome outcome;
        using (OutgoingLiveMachine outgoing = new(machine, options.Parameters, _switchover!, _figures, context.Trace))
        {
            outcome = delivery.Send(outgoing);
            Settle(outcome);
            _figures.OnEnd();
            if (_switchover!.HasStopped)
            {
                context.Trace.DowntimeCheckpoint("src-downtime-end");
            }
        }

        outcome.ThrowIfFailed();
    }

    public void AfterFailure() => delivery.NotifyDestination();

    public bool TryContinue() => _switchover!.TryContinue();

    public void SetLimits(ParameterSet parameters)
    {
        delivery.SetBandwidth(parameters);
        _switchover!.DowntimeLimit = parameters.Get(MigrationParameters.DowntimeLimit);
    }

    public void Interrupt(string reason)
    {
        if (!_switchover!.MayHaveStarted)
        {
            delivery.Shutdown(reason);
            return;
        }

        // The destination has everything, and its result decides where the machine runs.
        context.After(s_reportTime, () =>
        {
            if (!context.State.IsDecided)
            {
                delivery.Shutdown(reason);
            }
        });
    }

    /// <summary>Nothing to do: a source reports nothing but ERROR, which is bounded.</summary>
    public void LimitReport(string reason)
    {
    }

    public string? OnFailed(bool isStopped) => _remark;

    public void LogFailure(string reason) => EngineLog.SendFailed(context.Log, reason);

    public MigrationInfo Describe(MigrationInfo info) => delivery.Describe(info with
    {
        IsOutgoing = true,
        Uri = options.Uri.ToString(),
        Machine = machine.Type,
        RamTotal = (long)machine.Ram.TotalLength,
        Live = _figures.Snapshot(),
    });

    public void Dispose()
    {
        delivery.Dispose();
        _switchover!.Dispose();
    }

    /// <summary>Decides where the machine runs.</summary>
    private void Settle(DeliveryOutcome outcome)
    {
        switch (LiveFates.After(outcome.Arrival, _switchover!.HasStopped, _switchover.MayHaveStarted))
        {
            case LiveFate.StillHere:
                break;
            case LiveFate.AtDestination:
                _remark = "; the machine is at the destination";
                break;
            case LiveFate.BackHere:
                _remark = GoOn();
                break;
            default:
                _remark = $"; everything was sent to {delivery.Peer}, which may have started the machine and did not confirm it; the machine is stopped here: "
                    + "check there before you start it here";
                break;
        }
    }

    private string GoOn()
    {
        try
        {
            _switchover!.GoOn();
            return GoesOn;
        }
        catch (Exception failed)
        {
            EngineLog.NotStarted(context.Log, failed);
            return $"; the machine is stopped and could not be started again here ({failed.Message}), so it runs nowhere";
        }
    }
}
