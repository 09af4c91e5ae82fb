namespace RdmaMigration.Transport;

/// <summary>
/// A channel to a destination over RDMA: the stream's bytes go as control messages, RAM goes beside it by RDMA writes from the blocks where it lies.
/// </summary>
internal sealed class RdmaOutgoingChannel : OutgoingChannel
{
    /// <summary>ERROR is best effort: a destination that does not take it within this time learns from the disconnect.</summary>
    private static readonly TimeSpan s_errorTimeout = TimeSpan.FromMilliseconds(500);

    private readonly RdmaConnection _main;
    private readonly RdmaConnection? _back;
    private readonly OutgoingControl _control;
    private readonly StreamOutput _output;
    private readonly RdmaOutgoingRam _ram;

    private RdmaOutgoingChannel(RdmaConnection main, RdmaConnection? back, bool pinAll, RdmaConnectOptions options)
    {
        _main = main;
        _back = back;
        _control = new OutgoingControl(main.Control) { Patience = options.AnswerTimeout };
        WriteLane writes = main.AddWriteLane();
        _output = new StreamOutput(writes, _control);
        _ram = new RdmaOutgoingRam(main, writes, _control, pinAll, options.WindowBytes, _output);
        if (back is not null)
        {
            main.Join(back);
            Input = new RdmaReturnPathInput(back.Control);
        }
    }

    /// <inheritdoc/>
    public override string Peer => _main.Peer;

    /// <inheritdoc/>
    public override string Device => _main.DeviceName;

    /// <inheritdoc/>
    public override ConnectionLostException? Lost => _main.Lost;

    /// <inheritdoc/>
    public override ChannelOutput Output => _output;

    /// <inheritdoc/>
    public override ChannelInput? Input { get; }

    /// <inheritdoc/>
    public override OutgoingRam Ram => _ram;

    /// <summary>Connects, twice when a return path is asked for. Blocks until the destination has answered.</summary>
    /// <param name="waiter">Watches the connections; it must outlive the channel.</param>
    /// <param name="uri">Where the destination listens.</param>
    /// <param name="options">How.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="ConnectFailedException">Nobody answers there as a destination; the message has the step and what to do.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static RdmaOutgoingChannel Connect(CompletionWaiter waiter, RdmaUri uri, RdmaConnectOptions options, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(options);
        ConnectionPurpose purpose = ConnectionPurpose.NewMigration();
        (RdmaConnection main, RdmaCapabilities reply) = RdmaConnector.Connect(waiter, uri, purpose, options, options.ConnectTimeout, cancel);
        RdmaConnection? back = null;
        try
        {
            if (options.ReturnPath)
            {
                (back, _) = RdmaConnector.Connect(waiter, uri, purpose with { Role = ConnectionRole.ReturnPath }, options, options.ReturnPathTimeout, cancel);
            }
        }
        catch (ConnectFailedException failed)
        {
            // A destination that ends the migration meanwhile knows return paths.
            string? ended = failed.HasPeersReason ? failed.Message : main.Lost?.Message;
            main.Dispose();
            throw new ConnectFailedException(
                ended is not null ? $"the destination did not accept the return path's connection: {ended}"
                    : $"the destination did not accept the return path's connection; turn return-path on there, or omit --return-path ({failed.Message})",
                failed);
        }
        catch
        {
            main.Dispose();
            throw;
        }

        bool pinAll = options.PinAll && (reply.Flags & RdmaCapabilities.PinAll) != 0;
        return new RdmaOutgoingChannel(main, back, pinAll, options);
    }

    /// <inheritdoc/>
    public override void Shutdown(string reason)
    {
        _main.Fail(ConnectionLoss.Shutdown, reason);
        _output.StopPausing();
    }

    /// <inheritdoc/>
    protected override void WriteError()
    {
        if (_control.HasCredit && Lost is null or { Loss: ConnectionLoss.Shutdown })
        {
            _main.Control.SendLast(new ControlHeader(0, ControlMessageType.Error, 1), [], s_errorTimeout);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        // The queue pairs go first: no write may be under way when its memory is deregistered.
        _back?.Dispose();
        _main.Dispose();
        _ram.Dispose();
        _output.Dispose();
    }

    /// <inheritdoc/>
    protected override void AwaitEnd() => _control.WaitForClose();

    private sealed class StreamOutput(WriteLane writes, OutgoingControl control) : ChannelOutput, IDisposable
    {
        private readonly ManualResetEventSlim _shut = new();
        private long _streamBytes;

        public override long SentBytes => Volatile.Read(ref _streamBytes) + writes.WrittenBytes;

        public void StopPausing() => _shut.Set();

        public void Dispose() => _shut.Dispose();

        protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
        {
            while (bytes.Length > 0)
            {
                Pace();
                ReadOnlySpan<byte> message = bytes[..Math.Min(bytes.Length, ControlHeader.MaxPayload)];
                control.Send(ControlMessageType.QemuFile, message);
                Limit?.Sent(message.Length);
                Volatile.Write(ref _streamBytes, _streamBytes + message.Length);
                bytes = bytes[message.Length..];
            }
        }

        private void Pace()
        {
            while (Limit?.Pause is { } pause && pause > TimeSpan.Zero && !_shut.Wait(pause))
            {
            }
        }
    }
}
