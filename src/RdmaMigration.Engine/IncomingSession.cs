using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>One incoming migration: the thread mig/dst/main and what it loads. A captured machine's state is stored, not applied, so it needs no lock.</summary>
internal sealed partial class IncomingSession : MigrationSession, IMachineSession
{
    /// <summary>How long a stopped migration's source may take to be told, after what took the machine has given up.</summary>
    private static readonly TimeSpan s_lastWord = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long the stream may take of a source that waited when this side was to end. One that has gone has left its bytes in the kernels' buffers, some MiB that
    /// arrive at once; one that is still there fails, and keeps its machine.
    /// </summary>
    private static readonly TimeSpan s_lastStream = TimeSpan.FromSeconds(3);

    private readonly IncomingOptions _options;
    private readonly IncomingChannel _channel;
    private readonly IMachineSink _sink;
    private RamBlockList? _blocks;
    private ReturnPath? _returnPath;
    private IncomingStream? _stream;
    private bool _isTaken;

    /// <param name="loop">Where the end is scheduled.</param>
    /// <param name="options">Limits.</param>
    /// <param name="channel">The source. Owned by the session.</param>
    /// <param name="open">Makes what takes the machine. Owned by the session.</param>
    /// <param name="log">For what happens.</param>
    /// <param name="changed">Called on the main thread after each transition.</param>
    /// <param name="ended">Called on the main thread when nothing is left of the session.</param>
    public IncomingSession(
        MainLoop loop,
        IncomingOptions options,
        IncomingChannel channel,
        Func<IMachineSession, IMachineSink> open,
        ILogger log,
        Action<MigrationInfo> changed,
        Action<MigrationSession> ended)
        : base("mig/dst/main", loop, log, changed, ended)
    {
        _options = options;
        _channel = channel;
        _sink = open(this);
    }

    /// <summary>This side ends behind it, and waits for no source that is still sending.</summary>
    public bool IsLast { get; init; }

    public string Source => _channel.Peer;

    public bool TellsSource => _returnPath is not null;

    public ConnectionLostException? SourceLoss => _channel.Lost is { Loss: not ConnectionLoss.Shutdown } lost ? lost : null;

    public IDisposable? WatchSource() => _returnPath is { } path ? _channel.WatchSource(path.LastPong) : null;

    /// <summary>The source needs what this side cannot give. A machine whose every page has come already is kept: who asks may be another source. Main thread.</summary>
    public void Refuse(string reason)
    {
        if (!Volatile.Read(ref _isTaken))
        {
            Stop(FailureReason.Stream, reason);
        }
    }

    protected override void Begin()
    {
        if (_channel.IsConnected)
        {
            TimeSpan setup = _options.Parameters.Get(MigrationParameters.SetupTimeout);
            After(setup, () =>
            {
                if (!_streamBegun)
                {
                    Stop(
                        FailureReason.Timeout,
                        $"the source {_channel.Peer} sent no stream within {setup.TotalSeconds:0.#} s of its connection");
                }
            });
        }

        if (IsLast)
        {
            After(s_lastStream, () =>
            {
                if (!Volatile.Read(ref _isTaken))
                {
                    Stop(FailureReason.Cancelled, "the destination quits");
                }
            });
        }

        if (_options.Parameters.Get(MigrationParameters.Timeout) is { } timeout)
        {
            StopAfter(timeout, $"the migration from {_channel.Peer} did not end within {timeout.TotalSeconds:0.#} s");
        }
    }

    protected override void Work()
    {
        _sink.Begin();
        BeginStream();
        CapturedStream machine = Load();
        EngineLog.LoadCompleted(Log, _channel.Peer);
        Interlocked.Exchange(ref _isTaken, true);
        _sink.Take(machine);
        TellSource(failed: false);
    }

    protected override void AfterFailure()
    {
        _sink.AfterFailure();
        TellSource(failed: true);
    }

    protected override void Interrupt(string reason)
    {
        _sink.Interrupt(reason);
        if (!Volatile.Read(ref _isTaken))
        {
            _channel.Shutdown(reason);
            return;
        }

        // The thread reads no more from the source, and is still to tell it how it ended: that the destination has the machine all the same, it may be.
        After(s_lastWord, () =>
        {
            if (!IsDecided)
            {
                _channel.Shutdown(reason);
            }
        });
    }

    protected override string? Remark(bool isStopped) => _sink.Remark(isStopped);

    protected override void LogFailure(string reason) => EngineLog.LoadFailed(Log, reason);

    protected override void Release()
    {
        _channel.Dispose();
        _sink.Dispose();
        TakeBlocks()?.Dispose();
    }

    private CapturedStream Load()
    {
        ChannelSource source = new(_channel.Input) { Received = _channel.Ram is null ? CheckRoomIfDue : null };
        try
        {
            IncomingStream stream = new(
                source, this, new IncomingStreamOptions { MaxDeviceState = _options.Parameters.Get(MigrationParameters.MaxDeviceState), RamIsFresh = _channel.Ram is null });
            source.Patience = () => stream.Patience;
            source.IsComplete = () => stream.IsComplete;
            Volatile.Write(ref _stream, stream);
            CapturedStream captured = stream.Load();
            _channel.EndOfStream();
            StreamEnded(captured);
            EngineLog.Remarks(Log, _channel.Peer, captured);
            return captured;
        }
        catch (StreamFormatException truncated) when (source.Disconnected is { } lost)
        {
            throw new ConnectionLostException(
                lost.Loss, $"the source {lost.Message} before the machine was complete: {truncated.Message}", lost.DetectedAt);
        }
    }

    /// <summary>What the protocol lets us say to a source (protocol B.9, D.3): SHUT on a return path, else ERROR if it can receive one.</summary>
    private void TellSource(bool failed)
    {
        try
        {
            if (_returnPath is not null)
            {
                _returnPath.SendShut(failed);
            }
            else if (failed)
            {
                _channel.SendError();
            }
        }
        catch (TransportException unheard)
        {
            EngineLog.SourceNotTold(Log, _channel.Peer, unheard.Message);
        }
    }
}
