using RdmaMigration.Engine;
using RdmaMigration.Linux;

namespace RdmaMigration.Machines;

/// <summary>
/// Starts and stops a machine, sends it and waits for it, one at a time. Its state is the main thread's: what changes it runs there, with the big lock held.
/// </summary>
internal sealed class MachineMoves
{
    private readonly MainLoop _loop;
    private readonly MachineProcess _process;
    private readonly LiveMachine _machine;
    private TaskCompletionSource<MigrationInfo>? _move;
    private bool _isGivenUp;

    public MachineMoves(MainLoop loop, MachineProcess process, LiveMachine machine)
    {
        _loop = loop;
        _process = process;
        _machine = machine;
        process.Ended += OnEnded;
    }

    /// <summary>Called after <see cref="Start"/> or <see cref="Stop"/>. Main thread.</summary>
    public event Action? Changed;

    /// <summary>Runs the program here. Main thread.</summary>
    public void Start()
    {
        CheckIdle();
        if (_machine.State is MachineState.Running or MachineState.Moved)
        {
            throw new InvalidOperationException(_machine.IsRunning ? "the machine runs already" : "the machine has moved away: receive it first");
        }

        _machine.Start();
        Changed?.Invoke();
    }

    /// <summary>Stops the program here. Main thread.</summary>
    public void Stop()
    {
        CheckIdle();
        CheckRunning();
        _machine.Stop();
        Changed?.Invoke();
    }

    /// <summary>Begins to send the machine; <see cref="MachineProcess.Ended"/> reports the end. Main thread.</summary>
    /// <exception cref="InvalidOperationException">The machine does not run here, or it moves.</exception>
    /// <exception cref="MigrationException">The process ends.</exception>
    public void Send(OutgoingOptions options)
    {
        CheckIdle();
        CheckRunning();
        _process.Migrate(_machine, options);
    }

    /// <summary>Goes on with a migration that waits before its switchover. Main thread.</summary>
    /// <exception cref="InvalidOperationException">None waits.</exception>
    public void Continue()
    {
        if (!_process.TryContinue())
        {
            throw new InvalidOperationException("no migration waits in status PreSwitchover");
        }
    }

    /// <summary>Begins to wait for the machine; <see cref="MachineProcess.Ended"/> reports its arrival. Main thread.</summary>
    /// <exception cref="InvalidOperationException">The machine is here, or it moves.</exception>
    /// <exception cref="MigrationException">This host cannot listen there, or the process ends.</exception>
    public void Receive(IncomingOptions options)
    {
        CheckIdle();
        CheckAway();
        _process.Listen(options);
    }

    /// <summary>Stops the program for good if it runs. Main thread.</summary>
    public void End()
    {
        if (_machine.IsRunning)
        {
            _machine.Stop();
        }
    }

    /// <summary>Sends the machine. Any thread.</summary>
    /// <returns>The figures when it runs at the destination.</returns>
    public async Task<MigrationInfo> SendAsync(OutgoingOptions options, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        Task<MigrationInfo> move = await _loop.InvokeAsync(() =>
        {
            CheckIdle();
            CheckRunning();
            return BeginMove();
        }).ConfigureAwait(false);
        await BeginAsync(() => _process.MigrateAsync(_machine, options)).ConfigureAwait(false);
        return await EndAsync(move, cancellation).ConfigureAwait(false);
    }

    /// <summary>Waits for the machine. Any thread.</summary>
    /// <param name="options">Where.</param>
    /// <param name="listening">Called on the main thread with the URI when a source can connect; null for nothing.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>The figures when it runs here.</returns>
    public async Task<MigrationInfo> ReceiveAsync(IncomingOptions options, Action<string>? listening, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        Task<MigrationInfo> move = await _loop.InvokeAsync(() =>
        {
            CheckIdle();
            CheckAway();
            return BeginMove();
        }).ConfigureAwait(false);
        await BeginAsync(() => _loop.InvokeAsync(() =>
        {
            _process.Listen(options);
            listening?.Invoke(_process.Uri?.ToString() ?? options.Uri.ToString());
        })).ConfigureAwait(false);
        return await EndAsync(move, cancellation).ConfigureAwait(false);
    }

    private Task<MigrationInfo> BeginMove()
    {
        _move = new TaskCompletionSource<MigrationInfo>(TaskCreationOptions.RunContinuationsAsynchronously);
        _isGivenUp = false;
        return _move.Task;
    }

    private async Task BeginAsync(Func<Task> begin)
    {
        try
        {
            await begin().ConfigureAwait(false);
        }
        catch
        {
            await _loop.InvokeAsync(() => _move = null).ConfigureAwait(false);
            throw;
        }
    }

    private async Task<MigrationInfo> EndAsync(Task<MigrationInfo> move, CancellationToken cancellation)
    {
        MigrationInfo info;
        await using (cancellation.Register(() => _loop.Schedule(GiveUp)).ConfigureAwait(false))
        {
            info = await move.ConfigureAwait(false);
        }

        return info.Status switch
        {
            MigrationStatus.Completed => info,
            MigrationStatus.Cancelled => throw new OperationCanceledException(info.ErrorDescription ?? "cancelled", cancellation),
            _ => throw new MigrationException(info.ErrorClass ?? FailureReason.Internal, info.ErrorDescription ?? "the migration failed"),
        };
    }

    private void GiveUp()
    {
        _isGivenUp = true;
        if (_process.IsBusy)
        {
            _process.Cancel();
        }
        else if (_move is not null)
        {
            EndMove(new MigrationInfo { Status = MigrationStatus.Cancelled });
        }
    }

    private void OnEnded(MigrationInfo info)
    {
        if (info is { IsOutgoing: true, Status: MigrationStatus.Completed })
        {
            _machine.OnMoved();
        }

        // A source whose migration failed may try again as long as this side listens. Then only a cancel ends the wait.
        bool waitsOn = !info.IsOutgoing && info.Status is not MigrationStatus.Completed && _process.IsListening;
        if (_move is not null && (_isGivenUp || !waitsOn))
        {
            EndMove(waitsOn ? info with { Status = MigrationStatus.Cancelled } : info);
        }
    }

    private void EndMove(MigrationInfo info)
    {
        TaskCompletionSource<MigrationInfo> move = _move!;
        _move = null;
        if (_process.IsListening)
        {
            _process.StopListening();
        }

        move.SetResult(info);
    }

    private void CheckIdle()
    {
        if (_move is not null || _process.IsBusy || _process.IsListening)
        {
            throw new InvalidOperationException("the machine moves");
        }
    }

    private void CheckAway()
    {
        if (_machine.State is MachineState.Running or MachineState.Stopped)
        {
            throw new InvalidOperationException("the machine is here already");
        }
    }

    private void CheckRunning()
    {
        if (!_machine.IsRunning)
        {
            throw new InvalidOperationException("the machine does not run here");
        }
    }
}
