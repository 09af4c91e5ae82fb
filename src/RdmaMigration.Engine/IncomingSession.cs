using System.Diagnostics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Memory;
using RdmaMigration.Stream;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// One incoming migration: the thread mig/dst/main, what it loads, and its end. The thread never holds the big lock: a captured machine's state is stored,
/// not applied. Its last act is to schedule <see cref="End"/> on the main thread, which joins it and frees what it used.
/// </summary>
internal sealed partial class IncomingSession : IDisposable
{
    private readonly MainLoop _loop;
    private readonly IncomingOptions _options;
    private readonly RdmaIncomingChannel _channel;
    private readonly ILogger _log;
    private readonly Action<MigrationInfo> _changed;
    private readonly Action<IncomingSession> _ended;
    private readonly Thread _thread;
    private readonly CancellationTokenSource _cancel = new();
    private readonly List<IDisposable> _timers = [];
    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private CaptureFile? _file;
    private RamBlockList? _blocks;
    private ReturnPath? _returnPath;

    /// <param name="loop">Where the end is scheduled.</param>
    /// <param name="options">Limits and target.</param>
    /// <param name="channel">The source. Owned by the session.</param>
    /// <param name="log">For what happens.</param>
    /// <param name="changed">Called on the main thread after each transition.</param>
    /// <param name="ended">Called on the main thread when nothing is left of the session.</param>
    public IncomingSession(
        MainLoop loop, IncomingOptions options, RdmaIncomingChannel channel, ILogger log, Action<MigrationInfo> changed, Action<IncomingSession> ended)
    {
        _loop = loop;
        _options = options;
        _channel = channel;
        _log = log;
        _changed = changed;
        _ended = ended;
        _thread = new Thread(Run) { Name = "mig/dst/main", IsBackground = true };
        channel.BeforeIo = () => loop.Lock.AssertNotHeld("channel IO");
    }

    /// <summary>Starts the receive thread. Main thread.</summary>
    public void Start()
    {
        _loop.Lock.AssertHeld();
        SetStatus(MigrationStatus.Setup);
        _timers.Add(_loop.StartTimer(_options.SetupTimeout, () =>
        {
            if (!_streamBegun)
            {
                Stop(MigrationErrorClass.Timeout, $"the source {_channel.Peer} sent no stream within {_options.SetupTimeout.TotalSeconds:0.#} s of its connection");
            }
        }));
        if (_options.Timeout is { } timeout)
        {
            _timers.Add(_loop.StartTimer(timeout, () =>
                Stop(MigrationErrorClass.Timeout, $"the migration from {_channel.Peer} did not end within {timeout.TotalSeconds:0.#} s")));
        }

        _thread.Start();
    }

    /// <summary>Makes the receive thread end soon, for good. Main thread; the first reason stays.</summary>
    public void Stop(MigrationErrorClass reason, string description)
    {
        _loop.Lock.AssertHeld();
        if (!TryStop(reason, description))
        {
            return;
        }

        _cancel.Cancel();
        _channel.Shutdown(description);
    }

    private void Run()
    {
        _loop.Lock.AssertNotHeld();
        try
        {
            _file = new CaptureFile(_options.Target, _cancel.Token);
            SetStatus(MigrationStatus.Active);
            CapturedStream stream = Load();
            EngineLog.LoadCompleted(_log, _channel.Peer);
            Save(stream);
            TellSource(failed: false);
        }
        catch (Exception failed)
        {
            long held = Stopwatch.GetTimestamp();
            Fail(failed, held);
            TellSource(failed: true);
        }

        _loop.Schedule(End);
    }

    private CapturedStream Load()
    {
        ChannelSource source = new(_channel);
        try
        {
            IncomingStream stream = new(source, this, new IncomingStreamOptions { MaxDeviceState = _options.MaxDeviceState });
            source.IsAtPossibleEnd = () => stream.IsAtPossibleEnd;
            CapturedStream captured = stream.Load();
            StreamEnded();
            return captured;
        }
        catch (StreamFormatException truncated) when (source.Disconnected is { } lost)
        {
            throw new ConnectionLostException(
                lost.Loss, $"the source {_channel.Peer} disconnected before the machine was complete: {truncated.Message}", lost.DetectedAt);
        }
    }

    private void Save(CapturedStream stream)
    {
        SaveBegins();
        CaptureWriter.Write(stream, _file!, SaveProgress, _cancel.Token);
        Saved(_file!.Commit(_options.Target, stream.Configuration.MachineType, _start, _channel.Peer));
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
            EngineLog.SourceNotTold(_log, _channel.Peer, unheard.Message);
        }
    }

    /// <summary>The bottom half after the receive thread: joins it, frees everything, and only then says how it went.</summary>
    private void End()
    {
        _loop.Lock.AssertHeld();
        _loop.WithoutLock(_thread.Join);
        foreach (IDisposable timer in _timers)
        {
            timer.Dispose();
        }

        Dispose();
        SetFinalStatus();
        _ended(this);
    }

    /// <summary>Frees what the receive thread used. It has been joined, or was never started.</summary>
    public void Dispose()
    {
        _channel.Dispose();
        TakeBlocks()?.Dispose();
        _file?.Dispose();
        _cancel.Dispose();
    }
}
