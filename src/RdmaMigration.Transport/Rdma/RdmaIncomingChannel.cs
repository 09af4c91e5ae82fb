using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>
/// A channel from a source over RDMA: the stream's bytes come as control messages, RAM arrives beside it by RDMA writes into the blocks given to
/// <see cref="IIncomingRam.SetBlocks"/>. One thread reads; <see cref="Shutdown"/> and the properties are for any thread. The owner joins the reader
/// and then disposes the channel, before it frees the RAM blocks.
/// </summary>
internal sealed class RdmaIncomingChannel : IncomingChannel, IIncomingRam
{
    /// <summary>ERROR is best effort: a source whose device does not take it within this time learns from the disconnect.</summary>
    private static readonly TimeSpan s_errorTimeout = TimeSpan.FromMilliseconds(500);

    private readonly RdmaListener _listener;
    private readonly RdmaConnection _main;
    private readonly RamRegistration _registration;
    private readonly IncomingControl _control;
    private readonly Guid? _migration;
    private readonly object _gate = new();
    private RdmaConnection? _returnPath;
    private RdmaReturnPathOutput? _output;
    private volatile bool _started;
    private bool _returnPathClaimed;
    private bool _takenOver;
    private bool _disposed;

    internal RdmaIncomingChannel(RdmaListener listener, RdmaConnection main, ConnectionRequest request, TimeSpan exchangeTimeout)
    {
        _listener = listener;
        _main = main;
        _migration = request.Purpose?.Migration;
        PinAll = (request.Capabilities.GetValueOrDefault().Flags & RdmaCapabilities.PinAll) != 0;
        _registration = new RamRegistration(main.Domain, RamRegistration.DefaultLargestWindow, main.ThrowIfLost);
        _control = new IncomingControl(main.Control, _registration, PinAll) { ExchangeTimeout = exchangeTimeout };
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

    /// <inheritdoc/>
    public void SetBlocks(RamBlockList blocks) => _control.SetRamBlocks(blocks);

    /// <inheritdoc/>
    protected override ChannelOutput? AwaitOutput(TimeSpan timeout)
    {
        Deadline deadline = Deadline.After(timeout);
        lock (_gate)
        {
            while (_returnPath is null && !_disposed && Lost is null && !deadline.HasPassed)
            {
                // A lost connection does not wake this wait.
                Monitor.Wait(_gate, Math.Min(deadline.Milliseconds, 100));
            }

            if (_output is null)
            {
                _main.ThrowIfLost();
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
    /// Sends ERROR where the source can receive it, which is only while it holds no credit (PROTOCOL.md, Ending). Otherwise the disconnect that follows has
    /// to do.
    /// </summary>
    protected override void WriteError()
    {
        if (_control.ReadyOutstanding || Lost is { Loss: not ConnectionLoss.Shutdown })
        {
            return;
        }

        _main.Control.SendLast(new ControlHeader(0, ControlMessageType.Error, 1), [], s_errorTimeout);
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

        try
        {
            // The queue pairs go first: no write may be under way when its memory is deregistered.
            _returnPath?.Dispose();
            _main.Dispose();
            _registration.Dispose();
        }
        finally
        {
            // Otherwise no other source would ever get in.
            _listener.Release(this);
        }
    }

    /// <summary>Decides who disposes the channel: the engine when it is handed out, else the listener. True once, for the first caller. Any thread.</summary>
    internal bool TryTakeOver() => !Interlocked.Exchange(ref _takenOver, true);

    /// <summary>Its migration runs: it was handed out, and its source is there as far as the connection manager knows. On the waiter's thread.</summary>
    internal bool IsServed()
    {
        if (!Volatile.Read(ref _takenOver))
        {
            return false;
        }

        // This source's disconnect came before another's request, and may lie unread.
        _main.Watched.TakeEvents();
        lock (_gate)
        {
            return !_disposed && Lost is null;
        }
    }

    /// <summary>
    /// The request is this migration's return path (PROTOCOL.md, Return path). A source of ours says so, with the migration's id. From a QEMU it can only be
    /// the second connection from the same host: a QEMU opens it before it sends a byte on the first, so a later request comes from another source, and so
    /// does a request that comes when this source is gone. True once. On the waiter's thread.
    /// </summary>
    internal bool TryClaimReturnPath(ConnectionRequest request)
    {
        bool mayBe = request.Purpose is { } purpose
            ? purpose.Role == ConnectionRole.ReturnPath && purpose.Migration == _migration
            : _migration is null && !_started && Equals(_main.PeerAddress, request.PeerAddress);
        if (!mayBe)
        {
            return false;
        }

        // This source's disconnect came before the other's request, and may lie unread.
        _main.Watched.TakeEvents();
        lock (_gate)
        {
            bool claimed = !_returnPathClaimed && !_disposed && Lost is null;
            _returnPathClaimed |= claimed;
            return claimed;
        }
    }

    /// <summary>Why this side has ended the migration to which a connection belongs; null when it has not, or it is another migration. Any thread.</summary>
    internal string? WhyEnded(ConnectionPurpose purpose) =>
        purpose.Migration == _migration && Lost is { Loss: ConnectionLoss.Shutdown } ended ? $"the destination has ended the migration: {ended.Message}" : null;

    /// <summary>The source's second connection is established; false when the channel is disposed. The waiter's thread calls it.</summary>
    internal bool TrySetReturnPath(RdmaConnection connection)
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return false;
            }

            _returnPath = connection;
            Volatile.Write(ref _output, new RdmaReturnPathOutput(connection, isSourceOurs: _migration is not null));
            _main.Join(connection);
            Monitor.PulseAll(_gate);
            return true;
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
