using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The incoming side: listens, takes one migration after the other, captures each machine or sends it on. Created and started on the main thread; what may
/// be called from elsewhere says so.
/// </summary>
public sealed class IncomingMigration : Migration
{
    private readonly IncomingOptions _options;
    private readonly Func<OutgoingOptions, CancellationToken, OutgoingChannel> _connect;
    private readonly OutgoingConnector _connector = new();
    private readonly CompletionWaiter _waiter = new();
    private readonly FileNode? _source;
    private ChannelListener? _listener;

    /// <summary>Prepares; <see cref="Start"/> listens.</summary>
    public IncomingMigration(MainLoop loop, IncomingOptions options, ILogger<IncomingMigration> log)
        : base(loop, log)
    {
        _options = options;
        _connect = _connector.Open;

        // Now: a standard stream that is taken over leaves another file under its number.
        _source = FileNode.Of(options.Uri);
    }

    /// <summary>For tests: with outgoing channels of their own.</summary>
    internal IncomingMigration(
        MainLoop loop, IncomingOptions options, Func<OutgoingOptions, CancellationToken, OutgoingChannel> connect, ILogger<IncomingMigration> log)
        : this(loop, options, log) => _connect = connect;

    /// <summary>Where it listens, once started, with the port that was chosen when 0 was asked.</summary>
    public MigrationUri? Uri => _listener?.Uri;

    /// <summary>Where it listens, once started; null when that is not on a network.</summary>
    public IPEndPoint? LocalEndPoint => _listener?.LocalEndPoint;

    private protected override string QuitReason => "the destination quits";

    /// <summary>Listens, or opens what is read once: then the main loop ends after that one migration. Main thread, before or while the loop runs.</summary>
    /// <exception cref="ConnectFailedException">It cannot listen there, or open that.</exception>
    public void Start() =>
        _listener = ChannelListener.Open(
            _waiter, _options.Uri, _options.Parameters.ForListener(queues: TakesMany), channel => Loop.Schedule(() => Begin(channel)), Log);

    /// <summary>Stops listening and ends the completion waiter. After the main loop has ended.</summary>
    public override void Dispose()
    {
        _listener?.Dispose();
        _connector.Dispose();
        _waiter.Dispose();
    }

    private protected override void OnEnded(MigrationInfo info)
    {
        EngineLog.Ended(Log, info.Status is MigrationStatus.Completed ? 0 : -1, "none");
        if (_options.Once || _listener is { IsSingle: true })
        {
            QuitCode ??= info.Status is MigrationStatus.Completed ? 0 : 1;
        }

        if (QuitCode is null && (TakesMany || info.Status is not MigrationStatus.Completed))
        {
            _listener?.Resume();
        }
    }

    private bool TakesMany => !_options.Once && !_options.UntilCompleted;

    private protected override void StopTaking() => _listener?.StopListening();

    /// <summary>Whoever waits and has sent something may have sent everything, and takes its machine for arrived then: it is served before this ends.</summary>
    private protected override bool TryServeLast()
    {
        if (_listener?.TakeWaiting() is not { } waiting)
        {
            return false;
        }

        Serve(waiting);
        return true;
    }

    private void Begin(IncomingChannel channel)
    {
        if (QuitCode is null || (TakesMany && channel.HasBytes))
        {
            Serve(channel);
        }
        else
        {
            channel.Dispose();
        }
    }

    private void Serve(IncomingChannel channel)
    {
        channel.LeftBehind = what => EngineLog.LeftBehind(Log, what);
        EngineLog.Connected(Log, channel.Peer, channel.Device, RamModes.Of(channel).ToWord());
        IncomingSession session = new(Loop, _options, channel, OpenSink, Log, Changed, Ended) { IsLast = QuitCode is not null };
        Run(session);
        channel.WhenRefused(reason => Loop.Schedule(() => session.Refuse(reason)));
    }

    private IMachineSink OpenSink(IMachineSession session) => _options.Target switch
    {
        CaptureTarget capture => new CaptureSaver(capture, session),
        RelayTarget relay => new MachineRelay(relay, cancel => _connect(relay.Outgoing with { Source = _source }, cancel), session),
        _ => throw new InvalidOperationException($"no machine goes to {_options.Target}"),
    };
}
