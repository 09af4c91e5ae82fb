using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// Receives one machine, on the thread mig/dst/main: reads the stream, then hands the machine to its sink. Device state is kept or decoded, not applied, so
/// this thread takes no lock: a device whose decode needs the lock is decoded on the main thread.
/// </summary>
/// <param name="context">The migration.</param>
/// <param name="parameters">Limits.</param>
/// <param name="channel">To the source. Owned.</param>
/// <param name="source">The source.</param>
/// <param name="machine">Takes what the stream has. Owned; a sink that keeps what it holds leaves it empty.</param>
/// <param name="sink">Takes the machine. Owned.</param>
internal sealed class ReceiveWork(
    MigrationContext context, ParameterSet parameters, IncomingChannel channel, IncomingSource source, IMachine machine, IMachineSink sink) : IMigrationWork
{
    /// <summary>How long the source may take to accept the result of a migration that was stopped, or while the process ends.</summary>
    private static readonly TimeSpan s_reportTime = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long the stream may take of a source that waited when this side was to end. One that has gone has left its bytes in the kernels' buffers, some MiB
    /// that arrive at once; one that is still there fails, and keeps its machine.
    /// </summary>
    private static readonly TimeSpan s_lastStream = TimeSpan.FromSeconds(3);

    private IncomingStream? _stream;
    private readonly ReceiveFigures _figures = new(channel);
    private ReceiveHandler? _handler;
    private bool _isTaken;
    private long _reportBegan;
    private bool _isSafe;

    /// <summary>The process ends after this migration, and waits for no source that is still sending.</summary>
    public bool IsLast { get; init; }

    public string ThreadName => "mig/dst/main";

    /// <summary>
    /// The source needs what this side cannot give. A machine whose every page has come already is kept: the demand may be another source's. Main
    /// thread.
    /// </summary>
    public void Refuse(string reason)
    {
        if (!Volatile.Read(ref _isTaken))
        {
            context.Stop(FailureReason.Stream, reason);
        }
    }

    public void Begin()
    {
        if (IsLast)
        {
            context.After(s_lastStream, StopIfLate);
        }

        if (parameters.Get(MigrationParameters.Timeout) is { } timeout)
        {
            context.StopAfter(timeout, $"the migration from {channel.Peer} did not end within {timeout.TotalSeconds:0.#} s");
        }
    }

    private void WatchSetup()
    {
        TimeSpan setup = parameters.Get(MigrationParameters.SetupTimeout);
        context.After(setup, () =>
        {
            if (Volatile.Read(ref _stream) is not { HasBegun: true })
            {
                context.Stop(FailureReason.Timeout, $"the source {channel.Peer} sent no stream within {setup.TotalSeconds:0.#} s after it connected");
            }
        });
    }

    private void StopIfLate()
    {
        TimeSpan waited = Volatile.Read(ref _handler)?.SinceHeldUp ?? TimeSpan.MaxValue;
        if (waited < s_lastStream)
        {
            context.After(s_lastStream - waited, StopIfLate);
        }
        else if (!Volatile.Read(ref _isTaken))
        {
            context.Stop(FailureReason.Cancelled, "the destination quits");
        }
    }

    public void Run()
    {
        sink.Begin();
        if (channel.IsConnected)
        {
            WatchSetup();
        }

        context.State.Enter(MigrationPhase.Ram);
        context.State.GoTo(MigrationStatus.Active);
        bool isLoaded = false;
        try
        {
            Load(BigLockState.NotHeld);
            isLoaded = true;
            context.Trace.DowntimeCheckpoint("dst-precopy-loadvm-completed");
        }
        finally
        {
            context.Trace.IncomingEnd(isLoaded);
        }

        Interlocked.Exchange(ref _isTaken, true);
        sink.Take(machine);
        _isSafe = true;
        Report(failed: false);
    }

    public void AfterFailure()
    {
        sink.AfterFailure();
        Report(failed: !_isSafe);
    }

    public void Interrupt(string reason)
    {
        sink.Interrupt(reason);
        if (!Volatile.Read(ref _isTaken))
        {
            channel.Shutdown(reason);
            return;
        }

        // The thread reads no more from the source, and still has to report the result: perhaps that the destination has the machine all the same.
        LimitReport(reason);
    }

    public void LimitReport(string reason)
    {
        TimeSpan taken = Volatile.Read(ref _reportBegan) is not 0 and long at ? Stopwatch.GetElapsedTime(at) : TimeSpan.Zero;
        if (taken >= s_reportTime)
        {
            channel.Shutdown(reason);
        }
        else
        {
            context.After(s_reportTime - taken, () => LimitReport(reason));
        }
    }

    public string? OnFailed(bool isStopped)
    {
        _figures.OnFailed();
        return sink.Remark(isStopped);
    }

    public void LogFailure(string reason) => EngineLog.LoadFailed(context.Log, reason);

    public MigrationInfo Describe(MigrationInfo info) => sink.Describe(_figures.Describe(info, source.WaitsForResult));

    public void Dispose()
    {
        channel.Dispose();
        sink.Dispose();
        _figures.ReleaseRam();
        machine.Dispose();
        _stream?.Dispose();
    }

    private void Report(bool failed)
    {
        Volatile.Write(ref _reportBegan, Stopwatch.GetTimestamp());
        source.Report(failed, context.Log);
    }

    private void Load(BigLockState state)
    {
        context.Lock.Assert(state);
        ReceiveHandler handler = new(context, parameters, channel, source, machine, sink, _figures);
        Volatile.Write(ref _handler, handler);
        bool inStream = channel.Ram is null;
        ChannelSource bytes = new(channel.Input) { Received = inStream ? handler.CheckRoomIfDue : null };
        try
        {
            IncomingStream stream = new(
                bytes,
                handler,
                // A source of ours that sends over RDMA without a return path waits for this side to close.
                parameters.ForStream(ramIsFresh: inStream && machine.IsRamFresh, sourceCloses: inStream) with { Cancellation = context.Cancellation },
                machine.Devices);
            Volatile.Write(ref _stream, stream);
            bytes.Patience = () => stream.Patience;
            bytes.IsComplete = () => stream.IsComplete;
            _figures.Follow(stream);
            CapturedStream? loaded = machine.Load(stream, state);
            channel.EndOfStream();
            _figures.OnLoaded(loaded);
            if (loaded is not null)
            {
                EngineLog.Remarks(context.Log, channel.Peer, loaded);
            }
        }
        catch (StreamFormatException truncated) when (bytes.Disconnected is { } lost)
        {
            throw new ConnectionLostException(
                lost.Loss, $"the source {lost.Message} before the machine was complete: {truncated.Message}", lost.DetectedAt);
        }
    }
}
