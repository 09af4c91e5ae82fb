using System.Diagnostics;
using System.Net;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// A channel from a source over RDMA: the stream's bytes come as control messages, RAM arrives beside it by RDMA writes into the blocks given to
/// <see cref="IIncomingRam.SetBlocks"/>. One thread reads; <see cref="Shutdown"/> and the properties are for any thread. The owner joins the reader
/// and then disposes the channel, before it frees the RAM blocks.
/// </summary>
public sealed class RdmaIncomingChannel : IncomingChannel, IIncomingRam
{
    /// <summary>ERROR is best effort: a source whose device does not take it within this time learns from the disconnect.</summary>
    private static readonly TimeSpan s_errorTimeout = TimeSpan.FromMilliseconds(500);

    private readonly RdmaListener _listener;
    private readonly RdmaConnection _main;
    private readonly RamRegistration _registration;
    private readonly IncomingControl _control;
    private readonly object _gate = new();
    private RdmaConnection? _returnPath;
    private RdmaReturnPathOutput? _output;
    private volatile bool _started;
    private bool _returnPathClaimed;
    private bool _disposed;

    internal RdmaIncomingChannel(RdmaListener listener, RdmaConnection main, bool pinAll)
    {
        _listener = listener;
        _main = main;
        PinAll = pinAll;
        _registration = new RamRegistration(main.Domain, RamRegistration.DefaultLargestWindow, main.ThrowIfLost);
        _control = new IncomingControl(main.Control, _registration, pinAll);
    }

    /// <inheritdoc/>
    public override string Peer => _main.Peer;

    /// <inheritdoc/>
    public override string Device => _main.DeviceName;

    /// <inheritdoc/>
    public override ChannelInput Input => field ??= new StreamInput(this);

    /// <inheritdoc/>
    public override ChannelOutput? Output => Volatile.Read(ref _output);

    /// <inheritdoc/>
    public override IIncomingRam Ram => this;

    /// <inheritdoc/>
    public bool PinAll { get; }

    /// <inheritdoc/>
    public override ConnectionLostException? Lost => _main.Lost;

    /// <inheritdoc/>
    public long RegisteredBytes => _control.RegisteredBytes;

    /// <inheritdoc/>
    public long ZeroBytes => _control.ZeroBytes;

    /// <summary>The engine has it and will dispose it.</summary>
    internal bool HandedOut { get; set; }

    internal IPAddress? PeerAddress => _main.PeerAddress;

    /// <inheritdoc/>
    public void SetBlocks(RamBlockList blocks) => _control.SetRamBlocks(blocks);

    /// <inheritdoc/>
    protected override ChannelOutput? AwaitOutput(TimeSpan timeout)
    {
        long start = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            for (TimeSpan left = timeout; _returnPath is null && !_disposed && Lost is null && left > TimeSpan.Zero; left = timeout - Stopwatch.GetElapsedTime(start))
            {
                Monitor.Wait(_gate, left);
            }

            return _output;
        }
    }

    /// <inheritdoc/>
    public override void Shutdown(string reason)
    {
        _main.Fail(ConnectionLoss.Shutdown, reason);
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>
    /// Tells the source that this side gives up, as far as the protocol lets it: ERROR finds a receive only while the source holds no credit
    /// (protocol B.9); the disconnect that follows says the rest. Call it after the reader has returned.
    /// </summary>
    protected override void WriteError()
    {
        if (_control.ReadyOutstanding || Lost is { Loss: not ConnectionLoss.Shutdown })
        {
            return;
        }

        _main.Control.SendLast(new ControlHeader(0, ControlMessageType.Error, 1), s_errorTimeout);
    }

    /// <summary>Disconnects, deregisters RAM and frees the connections. The reader must have returned.</summary>
    public override void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            Monitor.PulseAll(_gate);
        }

        // The queue pairs go first: no write may be under way when its memory is deregistered.
        _returnPath?.Dispose();
        _main.Dispose();
        _registration.Dispose();
        _listener.Release(this);
    }

    /// <summary>
    /// The source's second connection, if this can be one: a source opens it before it sends a byte on the first (protocol A.6), so whoever comes later is
    /// another source, and so is whoever comes when this one is gone. True once. On the waiter's thread.
    /// </summary>
    internal bool TryClaimReturnPath()
    {
        // That it is gone was said before the other came, and may lie unread.
        _main.Watched.TakeEvents();
        lock (_gate)
        {
            bool claimed = !_started && !_returnPathClaimed && !_disposed && Lost is null;
            _returnPathClaimed |= claimed;
            return claimed;
        }
    }

    /// <summary>The source's second connection is established. The waiter's thread calls it.</summary>
    internal void SetReturnPath(RdmaConnection connection)
    {
        lock (_gate)
        {
            if (_disposed)
            {
                connection.Dispose();
                return;
            }

            _returnPath = connection;
            Volatile.Write(ref _output, new RdmaReturnPathOutput(connection));
            _main.Join(connection);
            Monitor.PulseAll(_gate);
        }
    }

    private sealed class StreamInput(RdmaIncomingChannel channel) : ChannelInput
    {
        protected override int ReadBytes(Span<byte> buffer, TimeSpan idle)
        {
            int count = channel._control.Read(buffer, idle);
            channel._started |= count > 0;
            return count;
        }
    }
}
