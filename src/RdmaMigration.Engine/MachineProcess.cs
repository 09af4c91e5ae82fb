using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The process: a main loop, and at most one migration at a time, in either direction. It does not know exit codes. Created on the main thread; a member that
/// may be called from elsewhere says so.
/// </summary>
internal sealed class MachineProcess : IDisposable
{
    private readonly MainLoop _loop;
    private readonly ILogger _log;
    private readonly OutgoingConnector _connector = new();
    private readonly Func<OutgoingOptions, CancellationToken, OutgoingChannel> _connect;
    private SourcePort? _port;
    private Migration? _current;
    private IncomingChannel? _next;
    private MigrationInfo _last = new() { Status = MigrationStatus.None };
    private bool _isQuitting;

    /// <summary>A process that does nothing yet.</summary>
    public MachineProcess(MainLoop loop, ILogger<MachineProcess> log)
    {
        _loop = loop;
        _log = log;
        _connect = _connector.Open;
    }

    /// <summary>For tests: with outgoing channels of their own.</summary>
    internal MachineProcess(MainLoop loop, Func<OutgoingOptions, CancellationToken, OutgoingChannel> connect, ILogger log)
    {
        _loop = loop;
        _log = log;
        _connect = connect;
    }

    /// <summary>Called on the main thread, with the big lock held, after each transition of each migration, in order.</summary>
    public event Action<MigrationInfo>? StatusChanged;

    /// <summary>Called on the main thread, with the big lock held, when a migration has ended and nothing is left of it: the next one may begin.</summary>
    public event Action<MigrationInfo>? Ended;

    /// <summary>Sources can connect. Main thread.</summary>
    public bool IsListening => _port is not null;

    /// <summary>A migration runs, or ended and is not torn down yet. Any thread.</summary>
    public bool IsBusy => Volatile.Read(ref _current) is not null;

    /// <summary>Where it listens, with the port that was chosen when 0 was asked; null before. Any thread.</summary>
    public MigrationUri? Uri => _port?.Uri;

    /// <summary>The address on the network where it listens; null when it listens on none. Any thread.</summary>
    public IPEndPoint? LocalEndPoint => _port?.LocalEndPoint;

    /// <summary>query-migrate: the migration that runs, else the last one with its error, however often it is asked. Any thread.</summary>
    public MigrationInfo Query() => Volatile.Read(ref _current)?.Query() ?? Volatile.Read(ref _last);

    /// <summary>
    /// migrate-incoming: listens, and takes one machine after the other as the options say. A file, a command or a descriptor is read once; then the main
    /// loop ends. A machine of this process is taken once: the process stops listening when it has arrived, and lives on. Main thread, before or while the loop
    /// runs.
    /// </summary>
    /// <exception cref="ConnectFailedException">It cannot listen there, or open that.</exception>
    /// <exception cref="InvalidOperationException">It listens already.</exception>
    public void Listen(IncomingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (_port is not null)
        {
            throw new InvalidOperationException($"the process listens already, on {_port.Uri}");
        }

        SourcePort port = new(options);
        _port = port;
        port.Open(channel => _loop.Schedule(() => Accept(port, channel)), _log);
    }

    /// <summary>migrate: begins to send a capture. Any thread; the status shows how it goes.</summary>
    /// <param name="path">The capture's file, which is read and nothing else.</param>
    /// <param name="options">Destination and limits.</param>
    /// <returns>Done when the migration has begun; a <see cref="MigrationException"/> when a migration runs already, or the process ends.</returns>
    public Task MigrateAsync(string path, OutgoingOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(options);
        return _loop.InvokeAsync(() =>
        {
            CheckIdle();

            // A sparse machine may be far larger than this host's memory; the load bounds what it takes.
            CapturedMachine machine = new(maxRam: ulong.MaxValue);
            MigrationContext context = new(_loop, _log);
            Run(context, new SendWork(context, path, options, machine, new Delivery(options, _connect, context)), ended: null);
        });
    }

    /// <summary>migrate: begins to send a machine of this process, which runs. Any thread; the status shows how it goes.</summary>
    /// <param name="machine">The machine. It must live until the migration has ended.</param>
    /// <param name="options">Destination and limits. Over RDMA there is a return path unless the options say otherwise: only with one is a failure
    /// known.</param>
    /// <returns>
    /// Done when the migration has begun; a <see cref="MigrationException"/> when a migration runs already, the machine does not run, or the process ends.
    /// </returns>
    public Task MigrateAsync(ILiveMachine machine, OutgoingOptions options)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(options);
        return _loop.InvokeAsync(() =>
        {
            CheckIdle();
            if (!machine.IsRunning)
            {
                throw new MigrationException(FailureReason.Policy, "the machine does not run here, so there is nothing to send");
            }

            ParameterSet parameters = options.Parameters;
            OutgoingOptions provable = parameters.IsSet(MigrationParameters.ReturnPath)
                ? options
                : options with { Parameters = parameters.With(MigrationParameters.ReturnPath, true) };
            MigrationContext context = new(_loop, _log);
            Run(context, new LiveSendWork(context, provable, machine, new Delivery(provable, _connect, context)), ended: null);
        });
    }

    /// <summary>migrate-continue: goes on with a switchover that waits for it, as capability pause-before-switchover asks. Any thread.</summary>
    /// <returns>Done when it goes on; a <see cref="MigrationException"/> when nothing waits.</returns>
    public Task ContinueAsync() => _loop.InvokeAsync(() =>
    {
        if (_current?.TryContinue() is not true)
        {
            throw new MigrationException(FailureReason.Policy, "no migration waits for migrate-continue");
        }
    });

    /// <summary>Stops listening, after which the process can listen anew. Any thread.</summary>
    /// <returns>Done when nothing listens; a <see cref="MigrationException"/> when a migration runs.</returns>
    public Task StopListeningAsync() => _loop.InvokeAsync(StopListening);

    /// <summary>As <see cref="StopListeningAsync"/>. Main thread.</summary>
    /// <exception cref="MigrationException">A migration runs.</exception>
    public void StopListening()
    {
        if (IsBusy)
        {
            throw new MigrationException(FailureReason.Policy, "a migration runs: wait for its end, or cancel it");
        }

        ClosePort();
    }

    /// <summary>migrate-cancel: ends the migration that runs, if one does. Any thread; the status shows when it has ended.</summary>
    public void Cancel(string reason = "cancelled") => _loop.Schedule(() => _current?.Stop(FailureReason.Cancelled, reason));

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
    }

    private void CheckIdle()
    {
        if (_isQuitting)
        {
            throw new MigrationException(FailureReason.Cancelled, "the process ends");
        }

        if (IsBusy)
        {
            throw new MigrationException(FailureReason.Policy, "a migration runs already: wait for its end, or cancel it");
        }
    }

    private void Run(MigrationContext context, IMigrationWork work, Action<MigrationInfo>? ended)
    {
        Migration migration = new(_loop, context, work);
        Volatile.Write(ref _current, migration);
        migration.Start(info => StatusChanged?.Invoke(info), info => End(info, ended));
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
        ParameterSet parameters = port.Options.Parameters;
        MigrationContext context = new(_loop, _log);
        IncomingSource source = new(channel);
        (IMachine machine, IMachineSink sink) = Arrival(port, context, source);
        ReceiveWork work = new(context, parameters, channel, source, machine, sink) { IsLast = _isQuitting };
        Run(context, work, info => Received(port, info));
        channel.WhenRefused(reason => _loop.Schedule(() => work.Refuse(reason)));
    }

    /// <summary>What a machine that comes in becomes, and what takes it.</summary>
    private (IMachine Machine, IMachineSink Sink) Arrival(SourcePort port, MigrationContext context, IncomingSource source)
    {
        if (port.Options.Target is LiveTarget live)
        {
            ArrivingMachine arriving = new(live.Machine);
            return (arriving, new MachineStarter(live.Machine, arriving, context));
        }

        IMachineSink sink = port.Options.Target switch
        {
            CaptureTarget capture => new CaptureSaver(capture, context, source),
            RelayTarget relay => new MachineRelay(relay, new Delivery(relay.Outgoing, _connect, context), context, source, port.File),
            _ => throw new InvalidOperationException($"no machine goes to {port.Options.Target}"),
        };
        return (new CapturedMachine(port.Options.Parameters.RamLimit()), sink);
    }

    private void Received(SourcePort port, MigrationInfo info)
    {
        bool hasCompleted = info.Status is MigrationStatus.Completed;
        EngineLog.Ended(_log, hasCompleted ? 0 : -1, "none");
        _isQuitting |= port.EndsAfterOne;
        if (port.Options.Target is LiveTarget && (hasCompleted || port.IsSingle))
        {
            ClosePort();
        }
        else if (!_isQuitting)
        {
            _loop.WithoutLock(() => port.Resume(hasCompleted));
        }
    }
}
