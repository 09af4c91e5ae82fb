using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The process: a main loop, at most one machine that it keeps in memory, and at most one migration at a time, in either direction. It does not know exit
/// codes. Created on the main thread; a member that may be called from elsewhere says so.
/// </summary>
internal sealed class MachineProcess : IDisposable
{
    private static readonly MigrationInfo s_none = new() { Status = MigrationStatus.None };

    private readonly MainLoop _loop;
    private readonly ILogger _log;
    private readonly OutgoingConnector _connector;
    private readonly MigrationWorks _works;
    private SourcePort? _port;
    private Migration? _current;
    private IncomingChannel? _next;
    private KeptMachine? _kept;
    private MigrationInfo _last = s_none;
    private bool _isQuitting;

    // The number of a pass that the main thread has not been told of yet, else 0.
    private int _passBegan;

    /// <summary>A process that does nothing yet.</summary>
    public MachineProcess(MainLoop loop, ILogger<MachineProcess> log)
    {
        _loop = loop;
        _log = log;
        _connector = new OutgoingConnector(log);
        _works = new MigrationWorks(_connector.Open);
    }

    /// <summary>For tests: with outgoing channels of their own.</summary>
    internal MachineProcess(MainLoop loop, Func<OutgoingOptions, CancellationToken, OutgoingChannel> connect, ILogger log)
    {
        _loop = loop;
        _log = log;
        _connector = new OutgoingConnector(log);
        _works = new MigrationWorks(connect);
    }

    /// <summary>Called on the main thread, with the big lock held, after each transition of each migration, in order.</summary>
    public event Action<MigrationInfo>? StatusChanged;

    /// <summary>Called on the main thread, with the big lock held, when a migration has ended and nothing is left of it: the next one may begin.</summary>
    public event Action<MigrationInfo>? Ended;

    /// <summary>
    /// Called on the main thread, with the big lock held, when a migration that sends has established the connection to its destination. A migration that fails
    /// before only ends.
    /// </summary>
    public event Action? Connected;

    /// <summary>
    /// Called on the main thread, with the big lock held, when a pass over the RAM of a machine that runs has begun, with the pass's number from 1 on. Passes
    /// that begin faster than the main loop turns are left out.
    /// </summary>
    public event Action<int>? PassBegan;

    /// <summary>Sources can connect. Main thread.</summary>
    public bool IsListening => _port is not null;

    /// <summary>A migration runs, or ended and is not torn down yet. Any thread.</summary>
    public bool IsBusy => Volatile.Read(ref _current) is not null;

    /// <summary>The machine that arrived for a <see cref="KeepTarget"/>; null when there is none. Any thread.</summary>
    public KeptMachine? Kept => Volatile.Read(ref _kept);

    /// <summary>Where it listens, with the port that was chosen when 0 was asked; null before. Any thread.</summary>
    public MigrationUri? Uri => _port?.Uri;

    /// <summary>The address on the network where it listens; null when it listens on none. Any thread.</summary>
    public IPEndPoint? LocalEndPoint => _port?.LocalEndPoint;

    /// <summary>
    /// query-migrate: the migration that runs, else the last one with its error, however often it is asked. Status none before the first one, and again when
    /// the process listens anew or has dropped its machine. Any thread.
    /// </summary>
    public MigrationInfo Query() => Volatile.Read(ref _current)?.Query() ?? Volatile.Read(ref _last);

    /// <summary>
    /// migrate-incoming: listens, and takes one machine after the other as the options say. A file, a command or a descriptor is read once; then the main
    /// loop ends. A machine for a program or the memory of this process is taken once: the process stops listening when it has arrived, and lives on. Main
    /// thread, before or while the loop runs.
    /// </summary>
    /// <exception cref="ConnectFailedException">It cannot listen there, or open that.</exception>
    /// <exception cref="InvalidOperationException">It listens already.</exception>
    /// <exception cref="MigrationException">The machine is to be kept, and another one is kept already; or the process ends.</exception>
    public void Listen(IncomingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (_port is not null)
        {
            throw new InvalidOperationException($"the process listens already, on {_port.Uri}");
        }

        CheckNotQuitting();

        if (options.Target is KeepTarget && Kept is not null)
        {
            throw new MigrationException(FailureReason.Policy, "this process keeps a machine already: drop it before another one can arrive");
        }

        SourcePort port = new(options, _log);
        _port = port;
        try
        {
            port.Open(channel => _loop.Schedule(() => Accept(port, channel)));
        }
        catch
        {
            _port = null;
            port.Dispose();
            throw;
        }

        Volatile.Write(ref _last, s_none);
    }

    /// <summary>migrate: begins to send a capture. Any thread; the status shows how it goes.</summary>
    /// <param name="path">The capture's file, which is read and nothing else.</param>
    /// <param name="options">Destination and limits.</param>
    /// <returns>Done when the migration has begun; a <see cref="MigrationException"/> when a migration runs already, or the process ends.</returns>
    public Task MigrateAsync(string path, OutgoingOptions options) => _loop.InvokeAsync(() => Migrate(path, options));

    /// <summary>As <see cref="MigrateAsync(string, OutgoingOptions)"/>. Main thread.</summary>
    /// <exception cref="MigrationException">A migration runs already, or the process ends.</exception>
    public void Migrate(string path, OutgoingOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        CheckIdle();
        Run(context => _works.Send(context, path, options));
    }

    /// <summary>migrate: begins to send the machine that is kept, which stays kept however that ends. Any thread; the status shows how it goes.</summary>
    /// <param name="options">Destination and limits.</param>
    /// <returns>
    /// Done when the migration has begun; a <see cref="MigrationException"/> when no machine is kept, a migration runs already, or the process ends.
    /// </returns>
    public Task MigrateAsync(OutgoingOptions options) => _loop.InvokeAsync(() => Migrate(options));

    /// <summary>As <see cref="MigrateAsync(OutgoingOptions)"/>. Main thread.</summary>
    /// <param name="options">Destination and limits.</param>
    /// <param name="runState">QEMU's name of the run state that the machine is sent with; null for the one that its stream has.</param>
    /// <exception cref="MigrationException">
    /// No machine is kept, it has no run state that can be replaced, a migration runs already, or the process ends.
    /// </exception>
    public void Migrate(OutgoingOptions options, string? runState = null)
    {
        CheckIdle();
        KeptMachine machine = Kept ?? throw NothingKept();
        if (runState is not null && machine.RunState is null)
        {
            throw new MigrationException(
                FailureReason.Policy,
                $"the machine's stream has no run state (section globalstate), so its destination starts it, and it cannot be sent as '{runState}'");
        }

        Run(context => _works.Send(context, machine, runState, options));
    }

    /// <summary>migrate: begins to send a machine of this process, which runs. Any thread; the status shows how it goes.</summary>
    /// <param name="machine">The machine. It must live until the migration has ended.</param>
    /// <param name="options">Destination and limits. Over RDMA there is a return path unless the options say otherwise: only with one is a failure
    /// known.</param>
    /// <returns>
    /// Done when the migration has begun; a <see cref="MigrationException"/> when a migration runs already, the machine does not run, or the process ends.
    /// </returns>
    public Task MigrateAsync(ILiveMachine machine, OutgoingOptions options) => _loop.InvokeAsync(() => Migrate(machine, options));

    /// <summary>As <see cref="MigrateAsync(ILiveMachine, OutgoingOptions)"/>. Main thread.</summary>
    /// <exception cref="MigrationException">A migration runs already, the machine does not run, or the process ends.</exception>
    public void Migrate(ILiveMachine machine, OutgoingOptions options)
    {
        CheckIdle();
        if (!machine.IsRunning)
        {
            throw new MigrationException(FailureReason.Policy, "the machine does not run here, so there is nothing to send");
        }

        Run(context => _works.Send(context, machine, options));
    }

    /// <summary>migrate-continue: goes on with a switchover that waits for it, as capability pause-before-switchover asks. Any thread.</summary>
    /// <returns>Done when it goes on; a <see cref="MigrationException"/> when nothing waits.</returns>
    public Task ContinueAsync() => _loop.InvokeAsync(Continue);

    /// <summary>As <see cref="ContinueAsync"/>. Main thread.</summary>
    /// <exception cref="MigrationException">Nothing waits.</exception>
    public void Continue()
    {
        if (!TryContinue())
        {
            throw new MigrationException(FailureReason.Policy, "no migration waits for migrate-continue");
        }
    }

    /// <summary>As <see cref="Continue"/>; false when nothing waits. Main thread.</summary>
    public bool TryContinue() => _current?.TryContinue() is true;

    /// <summary>migrate-set-parameters: a migration that sends keeps to this max-bandwidth and downtime-limit from now on. Main thread.</summary>
    public void SetLimits(ParameterSet parameters) => _current?.SetLimits(parameters);

    /// <summary>Frees the machine that is kept. Any thread.</summary>
    /// <returns>Done when it is freed; a <see cref="MigrationException"/> when there is none, or a migration runs.</returns>
    public Task DropAsync() => _loop.InvokeAsync(Drop);

    /// <summary>As <see cref="DropAsync"/>. Main thread.</summary>
    /// <exception cref="MigrationException">There is none, or a migration runs, which may use it.</exception>
    public void Drop()
    {
        CheckNotBusy();
        KeptMachine machine = Interlocked.Exchange(ref _kept, null) ?? throw NothingKept();
        machine.Dispose();
        Volatile.Write(ref _last, s_none);
    }

    /// <summary>Stops listening, after which the process can listen anew. Any thread.</summary>
    /// <returns>Done when nothing listens; a <see cref="MigrationException"/> when a migration runs.</returns>
    public Task StopListeningAsync() => _loop.InvokeAsync(StopListening);

    /// <summary>As <see cref="StopListeningAsync"/>. Main thread.</summary>
    /// <exception cref="MigrationException">A migration runs.</exception>
    public void StopListening()
    {
        CheckNotBusy();
        ClosePort();
    }

    /// <summary>migrate-cancel: ends the migration that runs, if one does. Any thread; the status shows when it has ended.</summary>
    public void Cancel(string reason = "cancelled") => _loop.Schedule(() => CancelAtOnce(reason));

    /// <summary>As <see cref="Cancel"/>; the status shows it when this returns. Main thread.</summary>
    public void CancelAtOnce(string reason = "cancelled") => _current?.Stop(FailureReason.Cancelled, reason);

    /// <summary>
    /// yank: shuts down the connection of the migration that runs, if one does, also while the main thread is busy. Any thread; the status shows when the
    /// migration has ended.
    /// </summary>
    public void Yank() => Volatile.Read(ref _current)?.StopAtOnce(FailureReason.Disconnected, "a client has yanked the connection");

    /// <summary>quit: cancels what runs, tears down, then ends the main loop. Any thread.</summary>
    public void Quit() => _loop.Schedule(() =>
    {
        _isQuitting = true;
        if (_current is { } current)
        {
            current.Quit(current.Query().IsOutgoing ? "the source quits" : "the destination quits");
        }
        else
        {
            EndLoop();
        }
    });

    /// <summary>Frees what outlives a migration. After the main loop has ended.</summary>
    public void Dispose()
    {
        _port?.Dispose();
        _connector.Dispose();
        _kept?.Dispose();
    }

    private void CheckIdle()
    {
        CheckNotQuitting();
        CheckNotBusy();
    }

    private void CheckNotQuitting()
    {
        if (_isQuitting)
        {
            throw new MigrationException(FailureReason.Cancelled, "the process ends");
        }
    }

    private void CheckNotBusy()
    {
        if (IsBusy)
        {
            throw new MigrationException(FailureReason.Policy, "a migration runs: wait for its end, or cancel it");
        }
    }

    private static MigrationException NothingKept() => new(FailureReason.Policy, "this process keeps no machine: receive one first");

    private void Run(Func<MigrationContext, IMigrationWork> create)
    {
        MigrationContext context = new(_loop, _log)
        {
            Connected = () => _loop.Schedule(() => Connected?.Invoke()),
            PassBegan = PassBegan is null ? null : AnnouncePass,
        };
        Run(context, create(context), ended: null);
    }

    private void Run(MigrationContext context, IMigrationWork work, Action<MigrationInfo>? ended)
    {
        Migration migration = new(_loop, context, work);
        Volatile.Write(ref _current, migration);
        migration.Start(info => StatusChanged?.Invoke(info), info => End(info, ended));
    }

    /// <summary>Passes over little RAM are shorter than a turn of the main loop, which must not be left with a queue of them: it gets the latest.</summary>
    private void AnnouncePass(int pass)
    {
        if (Interlocked.Exchange(ref _passBegan, pass) == 0)
        {
            _loop.Schedule(() => PassBegan?.Invoke(Interlocked.Exchange(ref _passBegan, 0)));
        }
    }

    private void End(MigrationInfo info, Action<MigrationInfo>? ended)
    {
        Volatile.Write(ref _last, info);

        // First: a source that looks whether this process is busy may connect as soon as it is not.
        ended?.Invoke(info);
        Volatile.Write(ref _current, null);
        Ended?.Invoke(info);
        if (Interlocked.Exchange(ref _next, null) is { } next)
        {
            Accept(_port, next);
        }

        if (_isQuitting && !IsBusy)
        {
            EndLoop();
        }
    }

    /// <summary>Ends the main loop after the bottom halves that are scheduled already, which may begin a migration. No migration runs.</summary>
    private void EndLoop()
    {
        _port?.StopListening();
        _loop.Schedule(() =>
        {
            if (_current is not null)
            {
                return;
            }

            // A source that waits and has sent something may have sent everything, and takes its machine for arrived then: it is served before this ends.
            if (_port?.TakeWaiting() is { } waiting)
            {
                Serve(_port, waiting);
            }
            else
            {
                _loop.Quit();
            }
        });
    }

    private void ClosePort()
    {
        if (_port is { } port)
        {
            _port = null;
            _loop.WithoutLock(port.Dispose);
        }
    }

    /// <param name="port">Where the source came in; null or another than the process's when that does not listen any more.</param>
    /// <param name="channel">To the source.</param>
    private void Accept(SourcePort? port, IncomingChannel channel)
    {
        if (port is null || port != _port)
        {
            channel.Dispose();
        }
        else if (IsBusy)
        {
            // It may have sent everything, and is served when the migration that runs has ended. The port hands out one at a time.
            _next = channel;
        }
        else if (_isQuitting && !(port.TakesMany && channel.HasBytes))
        {
            channel.Dispose();
        }
        else
        {
            Serve(port, channel);
        }
    }

    private void Serve(SourcePort port, IncomingChannel channel)
    {
        channel.LeftBehind = what => EngineLog.LeftBehind(_log, what);
        EngineLog.Connected(_log, channel.Peer, channel.Device, RamModes.Of(channel).ToWord());
        MigrationContext context = new(_loop, _log);
        ReceiveWork work = _works.Receive(context, port, channel, machine => Volatile.Write(ref _kept, machine), isLast: _isQuitting);
        Run(context, work, info => Received(port, info));
        channel.WhenRefused(reason => _loop.Schedule(() => work.Refuse(reason)));
    }

    private void Received(SourcePort port, MigrationInfo info)
    {
        bool hasCompleted = info.Status is MigrationStatus.Completed;
        _isQuitting |= port.EndsAfterOne;
        if (port.BecomesTheMachine && (hasCompleted || port.IsSingle))
        {
            ClosePort();
        }
        else if (!_isQuitting)
        {
            _loop.WithoutLock(() => port.Resume(hasCompleted));
        }
    }
}
