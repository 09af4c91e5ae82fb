using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The incoming side: listens, takes one migration after the other, captures each. Created and started on the main thread; what may be called from
/// elsewhere says so.
/// </summary>
public sealed class IncomingMigration : IDisposable
{
    private readonly MainLoop _loop;
    private readonly IncomingOptions _options;
    private readonly ILogger _log;
    private readonly CompletionWaiter _waiter = new();
    private RdmaListener? _listener;
    private IncomingSession? _current;
    private MigrationInfo _last = new() { Status = MigrationStatus.None };
    private int? _quitCode;

    /// <summary>Prepares; <see cref="Start"/> listens.</summary>
    public IncomingMigration(MainLoop loop, IncomingOptions options, ILogger<IncomingMigration> log)
    {
        _loop = loop;
        _options = options;
        _log = log;
    }

    /// <summary>Called on the main thread, with the big lock held, after each transition of each migration, in order.</summary>
    public event Action<MigrationInfo>? StatusChanged;

    /// <summary>Where it listens, once started.</summary>
    public IPEndPoint? LocalEndPoint => _listener?.LocalEndPoint;

    /// <summary>Listens. Main thread, before or while the loop runs.</summary>
    /// <exception cref="ConnectFailedException">It cannot listen there.</exception>
    public void Start() =>
        _listener = new RdmaListener(_waiter, _options.Uri, _options.Listener, channel => _loop.Schedule(() => Begin(channel)), _log);

    /// <summary>A migration runs, or ended and is not torn down yet. Any thread.</summary>
    public bool IsBusy => Volatile.Read(ref _current) is not null;

    /// <summary>query-migrate: the migration that runs, else the last one with its error, however often it is asked. Any thread.</summary>
    public MigrationInfo Query() => Volatile.Read(ref _current)?.Query() ?? Volatile.Read(ref _last);

    /// <summary>migrate-cancel: ends the migration that runs, if one does. Any thread; the status tells when it has ended.</summary>
    public void Cancel(string reason = "cancelled") => _loop.Schedule(() => _current?.Stop(MigrationErrorClass.Cancelled, reason));

    /// <summary>quit: cancels what runs, tears down, then ends the main loop with the code. Any thread.</summary>
    public void Quit(int exitCode) => _loop.Schedule(() =>
    {
        _quitCode ??= exitCode;
        if (_current is null)
        {
            _loop.Quit(_quitCode.Value);
        }
        else
        {
            _current.Stop(MigrationErrorClass.Cancelled, "the destination quits");
        }
    });

    /// <summary>Stops listening and ends the completion waiter. After the main loop has ended.</summary>
    public void Dispose()
    {
        _listener?.Dispose();
        _waiter.Dispose();
    }

    private void Begin(RdmaIncomingChannel channel)
    {
        if (_quitCode is not null)
        {
            channel.Dispose();
            return;
        }

        EngineLog.Connected(_log, channel.Peer, channel.DeviceName, channel.PinAll ? "pin-all" : "dynamic");
        IncomingSession session = new(_loop, _options, channel, _log, info => StatusChanged?.Invoke(info), Ended);
        Volatile.Write(ref _current, session);
        session.Start();
    }

    private void Ended(IncomingSession session)
    {
        MigrationInfo info = session.Query();
        Volatile.Write(ref _last, info);
        Volatile.Write(ref _current, null);
        EngineLog.Ended(_log, info.Status is MigrationStatus.Completed ? 0 : -1, "none");
        if (_options.Once)
        {
            _quitCode ??= info.Status is MigrationStatus.Completed ? 0 : 1;
        }

        if (_quitCode is { } code)
        {
            _loop.Quit(code);
        }
    }
}
