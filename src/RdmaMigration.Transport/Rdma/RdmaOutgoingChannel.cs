using RdmaMigration.Memory;
using Tmds.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// The IO channel of an outgoing migration over RDMA: the stream's bytes go as control messages, RAM goes beside it by RDMA writes from the blocks where it
/// lies. The blocks stay the caller's and must not change until the channel is disposed.
/// </summary>
public sealed class RdmaOutgoingChannel : OutgoingChannel
{
    /// <summary>ERROR is best effort: a destination that does not take it within this time learns from the disconnect.</summary>
    private static readonly TimeSpan s_errorTimeout = TimeSpan.FromMilliseconds(500);

    private readonly RdmaConnection _main;
    private readonly RdmaConnection? _back;
    private readonly OutgoingControl _control;
    private readonly RdmaConnectOptions _options;
    private readonly ManualResetEventSlim _shut = new();
    private IReadOnlyList<RamBlock> _blocks = [];
    private DestinationBlock[] _destination = [];
    private IWindowSource? _windows;
    private long _streamBytes;

    private RdmaOutgoingChannel(RdmaConnection main, RdmaConnection? back, bool pinAll, RdmaConnectOptions options)
    {
        _main = main;
        _back = back;
        _options = options;
        _control = new OutgoingControl(main);
        PinAll = pinAll;
        if (back is not null)
        {
            main.Join(back);
            ReturnPath = new RdmaReturnPathReader(back);
        }
    }

    /// <inheritdoc/>
    public override string Peer => _main.Peer;

    /// <summary>The device that the destination is reached by.</summary>
    public string DeviceName => _main.DeviceName;

    /// <summary>The destination registers all RAM at the start; false also when it was asked to and declined.</summary>
    public bool PinAll { get; }

    /// <inheritdoc/>
    public override ConnectionLostException? Lost => _main.Lost;

    /// <inheritdoc/>
    public override long SentBytes => Volatile.Read(ref _streamBytes) + RamSentBytes;

    /// <summary>Bytes of RAM that the destination's device has acknowledged.</summary>
    public long RamSentBytes => _main.WrittenBytes;

    /// <summary>Bytes of RAM that need not be sent because they are zero, as far as it has looked.</summary>
    public long RamZeroBytes => Volatile.Read(ref _windows)?.ZeroBytes ?? 0;

    /// <inheritdoc/>
    public override ReturnPathReader? ReturnPath { get; }

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
        (RdmaConnection main, RdmaCapabilities reply) = RdmaConnector.Connect(waiter, uri, options, options.ConnectTimeout, cancel);
        RdmaConnection? back = null;
        try
        {
            if (options.ReturnPath)
            {
                (back, _) = RdmaConnector.Connect(waiter, uri, options, options.ReturnPathTimeout, cancel);
            }
        }
        catch (ConnectFailedException failed)
        {
            main.Dispose();
            throw new ConnectFailedException(
                $"the destination took no second connection for the return path: turn return-path on there, or do without it here ({failed.Message})", failed);
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
    public override void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            BeforeIo?.Invoke();
            Pace();
            ReadOnlySpan<byte> message = bytes[..Math.Min(bytes.Length, ControlHeader.MaxPayload)];
            _control.Send(ControlMessageType.QemuFile, message);
            Limit?.Sent(message.Length);
            Volatile.Write(ref _streamBytes, _streamBytes + message.Length);
            bytes = bytes[message.Length..];
        }
    }

    /// <inheritdoc/>
    public override unsafe void WriteGather(ReadOnlySpan<iovec> segments)
    {
        foreach (ref readonly iovec segment in segments)
        {
            Write(new ReadOnlySpan<byte>(segment.iov_base, checked((int)(ulong)segment.iov_len)));
        }
    }

    /// <summary>
    /// The control phase after the START section's HOOK: asks for the destination's RAM blocks, compares them with ours, and ends the phase. With pin-all both
    /// sides register everything meanwhile.
    /// </summary>
    /// <param name="blocks">In the order of the stream's list, without blocks that are left out. Not owned.</param>
    /// <exception cref="ControlProtocolException">The destination's blocks are others, or it broke the protocol.</exception>
    /// <exception cref="RegistrationException">Memory of this side cannot be registered.</exception>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    public void ExchangeRamBlocks(IReadOnlyList<RamBlock> blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        BeforeIo?.Invoke();
        _blocks = blocks;
        OutgoingPlan plan = new(blocks, _options.WindowBytes, scan: !PinAll, _main.ThrowIfLost);
        ReadOnlySpan<byte> answer = _control.Request(
            ControlMessageType.RamBlocksRequest,
            ControlMessageType.RamBlocksResult,
            () => Volatile.Write(ref _windows, PinAll ? new PinnedWindows(blocks, plan, _main.Domain) : new LazyWindows(blocks, plan, _main.Domain)));
        _destination = DestinationBlocks.Parse(answer, blocks, PinAll, Peer);
        _control.Send(ControlMessageType.RegisterFinished, []);
    }

    /// <summary>The control phase after the END section's HOOK: moves all RAM, waits until the destination's device has it, and ends the phase.</summary>
    /// <exception cref="TransportException">The connection is lost, the destination broke the protocol, or memory cannot be registered.</exception>
    public void SendRam()
    {
        BeforeIo?.Invoke();
        IWindowSource windows = _windows ?? throw new InvalidOperationException("RAM is sent after the blocks were exchanged");
        new RamSender(_main, _control, _blocks, _destination, windows, Limit).Run();
        _control.Send(ControlMessageType.RegisterFinished, []);
    }

    /// <inheritdoc/>
    public override void Finish() => BeforeIo?.Invoke();

    /// <summary>Waits until the destination has closed the channel of itself. Nothing may be sent any more.</summary>
    /// <exception cref="ConnectionLostException">The channel ended in another way.</exception>
    /// <exception cref="ControlProtocolException">The destination broke the protocol.</exception>
    public void WaitForClose()
    {
        BeforeIo?.Invoke();
        _control.WaitForClose();
    }

    /// <inheritdoc/>
    public override void Shutdown(string reason)
    {
        _main.Fail(ConnectionLoss.Shutdown, reason);
        _shut.Set();
    }

    /// <inheritdoc/>
    public override void SendError()
    {
        if (_control.HasCredit && Lost is null or { Loss: ConnectionLoss.Shutdown })
        {
            _main.SendLast(new ControlHeader(0, ControlMessageType.Error, 1), s_errorTimeout);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        // The queue pairs go first: no write may be under way when its memory is deregistered.
        _back?.Dispose();
        _main.Dispose();
        _windows?.Dispose();
        _shut.Dispose();
    }

    private void Pace()
    {
        while (Limit?.Pause is { } pause && pause > TimeSpan.Zero && !_shut.Wait(pause))
        {
        }
    }
}
