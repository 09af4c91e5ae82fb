using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Transport;

/// <summary>Gives remote keys for RAM.</summary>
internal interface IRamRegistration
{
    /// <summary>The key of a whole block, which stays: no chunk of it is ever taken back.</summary>
    uint RegisterBlock(RamBlock block);

    /// <summary>One key that covers the chunks from <paramref name="first"/> to <paramref name="last"/>, both included and inside the block.</summary>
    uint RegisterChunks(RamBlock block, ulong first, ulong last);

    /// <summary>Takes a chunk's key back; false when the chunk has none.</summary>
    bool UnregisterChunk(RamBlock block, ulong chunk);
}

/// <summary>
/// QEMU's RDMA control protocol as the destination speaks it (PROTOCOL.md). Every read of stream bytes that finds none left sends a READY and serves
/// whatever control message comes, until one carries stream bytes again. The dispatch is on the message type alone, as the type tells which phase the
/// source is in. One thread uses it: the one that loads the stream.
/// </summary>
internal sealed class IncomingControl(IControlLink link, IRamRegistration registration, bool pinAll)
{
    private readonly byte[] _result = new byte[RegisterResult.Size];
    private RamBlockList? _blocks;
    private Exchange? _exchange;
    private int _streamBytes;
    private long _registeredBytes;
    private long _zeroBytes;

    /// <summary>The longest wait for each message of the source while RAM blocks are exchanged.</summary>
    public TimeSpan ExchangeTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>Bytes of RAM that the source has asked keys for. Any thread may read it.</summary>
    public long RegisteredBytes => Volatile.Read(ref _registeredBytes);

    /// <summary>Bytes of RAM that the source said are zero. Any thread may read it.</summary>
    public long ZeroBytes => Volatile.Read(ref _zeroBytes);

    /// <summary>The source holds a credit: it has no receive posted, so an ERROR of ours would break the connection (PROTOCOL.md, Ending).</summary>
    public bool ReadyOutstanding { get; private set; }

    /// <summary>The blocks in the order in which the source named them: its indexes refer to that order (PROTOCOL.md, Block order).</summary>
    public void SetRamBlocks(RamBlockList blocks)
    {
        _blocks = blocks;
        Await(ControlMessageType.RamBlocksRequest, ExchangeTimeout);
    }

    /// <summary>
    /// Blocks for stream bytes, serving control messages meanwhile. Returns at least 1 for a buffer that is not empty, or 0 when the source let
    /// <paramref name="idle"/> pass without a message; the next call goes on waiting for it.
    /// </summary>
    /// <exception cref="ControlProtocolException">The peer broke the protocol.</exception>
    /// <exception cref="ConnectionLostException">The connection is errored.</exception>
    /// <exception cref="RegistrationException">Memory cannot be registered.</exception>
    /// <exception cref="PeerSilentException">The source lives and does not go on with the exchange of RAM blocks.</exception>
    public int Read(Span<byte> buffer, TimeSpan idle)
    {
        while (_streamBytes == 0)
        {
            if (!ServeOne(idle))
            {
                return 0;
            }
        }

        int count = Math.Min(buffer.Length, _streamBytes);
        link.Message.Slice(link.Message.Length - _streamBytes, count).CopyTo(buffer);
        _streamBytes -= count;
        return count;
    }

    private bool ServeOne(TimeSpan idle)
    {
        if (!ReadyOutstanding)
        {
            link.Send(new ControlHeader(0, ControlMessageType.Ready, 1), []);
            ReadyOutstanding = true;
        }

        if (!Receive(Deadline.After(idle)))
        {
            return false;
        }

        ReadyOutstanding = false;
        ControlHeader header = ControlHeader.Parse(link.Message, link.Peer);
        ReadOnlySpan<byte> payload = link.Message[ControlHeader.Size..];
        switch (header.Type)
        {
            case ControlMessageType.QemuFile:
                _streamBytes = payload.Length > 0 ? payload.Length : throw Broken("QEMU_FILE", "0 bytes of stream", $"1 to {ControlHeader.MaxPayload}");
                break;
            case ControlMessageType.RamBlocksRequest:
                SendRamBlocks();
                break;
            case ControlMessageType.RegisterRequest:
                Register(header, payload);
                break;
            case ControlMessageType.UnregisterRequest:
                Unregister(header, payload);
                break;
            case ControlMessageType.Compress:
                Compress(payload);
                break;
            case ControlMessageType.RegisterFinished:
                if (_exchange is { Awaited: ControlMessageType.RegisterFinished })
                {
                    _exchange = null;
                }

                break;
            case ControlMessageType.Error:
                throw new ConnectionLostException(
                    ConnectionLoss.PeerError, $"the source {link.Peer} reported a failure (ERROR); see its log", System.Diagnostics.Stopwatch.GetTimestamp());
            default:
                throw Broken("control message", $"type {(uint)header.Type} ({header.Type})", "a type that a source sends");
        }

        return true;
    }

    /// <summary>Blocks for the next message; false when none came until then.</summary>
    private bool Receive(Deadline idle)
    {
        Deadline exchange = _exchange?.Deadline ?? Deadline.Never;
        while (!link.Receive(Deadline.Earlier(idle, exchange).Left))
        {
            // A wait may end a little early.
            if (exchange.HasPassed)
            {
                throw new PeerSilentException(
                    _exchange!.Awaited.ToString(), "source", link.Peer, _exchange.Bound, "check that its process is not stopped, and migrate again");
            }

            if (idle.HasPassed)
            {
                return false;
            }
        }

        return true;
    }

    private void SendRamBlocks()
    {
        RamBlockList blocks = Blocks("RAM_BLOCKS_REQUEST");
        byte[] payload = new byte[blocks.Count * DestinationBlock.Size];
        for (int i = 0; i < blocks.Count; i++)
        {
            uint key = pinAll ? registration.RegisterBlock(blocks[i]) : 0;
            new DestinationBlock(AddressOf(blocks[i]), 0, blocks[i].Length, key).Write(payload.AsSpan(i * DestinationBlock.Size));
        }

        link.Send(new ControlHeader((uint)payload.Length, ControlMessageType.RamBlocksResult, 1), payload);
        if (_exchange is { Awaited: ControlMessageType.RamBlocksRequest })
        {
            // With pin-all the source registers its RAM as well.
            TimeSpan work = pinAll ? RegistrationTime.Of(blocks.TotalLength) : TimeSpan.Zero;
            Await(ControlMessageType.RegisterFinished, ExchangeTimeout == Timeout.InfiniteTimeSpan ? ExchangeTimeout : ExchangeTimeout + work);
        }
    }

    private void Await(ControlMessageType message, TimeSpan bound) => _exchange = new Exchange(message, bound, Deadline.After(bound));

    private void Register(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        CheckRepeat(header, payload, RegisterRequest.Size);
        RegisterResult? first = null;
        for (; payload.Length > 0; payload = payload[RegisterRequest.Size..])
        {
            RegisterRequest request = RegisterRequest.Read(payload);
            RamBlock block = BlockAt("REGISTER_REQUEST", request.BlockIndex);
            if (request.Key >= block.Length)
            {
                throw Broken("REGISTER_REQUEST", $"offset {request.Key} in RAM block '{block.Name}'", $"less than its length {block.Length}");
            }

            ulong chunk = request.Key >> Chunk.Shift;
            ulong lastOfBlock = (block.Length - 1) >> Chunk.Shift;
            if (request.Chunks > lastOfBlock - chunk)
            {
                throw Broken(
                    "REGISTER_REQUEST", $"{request.Chunks} chunks after chunk {chunk} of RAM block '{block.Name}'", $"at most {lastOfBlock - chunk}");
            }

            uint key = registration.RegisterChunks(block, chunk, chunk + request.Chunks);
            ulong end = Math.Min((chunk + request.Chunks + 1) << Chunk.Shift, block.Length);
            Volatile.Write(ref _registeredBytes, _registeredBytes + (long)(end - (chunk << Chunk.Shift)));
            first ??= new RegisterResult(key, AddressOf(block));
        }

        first!.Value.Write(_result);
        link.Send(new ControlHeader(RegisterResult.Size, ControlMessageType.RegisterResult, header.Repeat), _result);
    }

    private void Unregister(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        CheckRepeat(header, payload, RegisterRequest.Size);
        for (; payload.Length > 0; payload = payload[RegisterRequest.Size..])
        {
            RegisterRequest request = RegisterRequest.Read(payload);
            RamBlock block = BlockAt("UNREGISTER_REQUEST", request.BlockIndex);
            if (!registration.UnregisterChunk(block, request.Key))
            {
                throw Broken("UNREGISTER_REQUEST", $"chunk {request.Key} of RAM block '{block.Name}'", "a chunk that is registered");
            }
        }

        link.Send(new ControlHeader(0, ControlMessageType.UnregisterFinished, header.Repeat), []);
    }

    private void Compress(ReadOnlySpan<byte> payload)
    {
        if (payload.Length != CompressRequest.Size)
        {
            throw Broken("COMPRESS", $"{payload.Length} bytes", $"{CompressRequest.Size}");
        }

        CompressRequest request = CompressRequest.Read(payload);
        RamBlock block = BlockAt("COMPRESS", request.BlockIndex);
        if (request.Offset > block.Length || request.Length > block.Length - request.Offset)
        {
            throw Broken(
                "COMPRESS", $"{request.Length} bytes at offset {request.Offset} of RAM block '{block.Name}'", $"inside its length {block.Length}");
        }

        if (request.Value != 0)
        {
            throw Broken("COMPRESS", $"fill value {request.Value}", "0");
        }

        block.Zero(request.Offset, request.Length);
        Volatile.Write(ref _zeroBytes, _zeroBytes + (long)request.Length);
    }

    private void CheckRepeat(ControlHeader header, ReadOnlySpan<byte> payload, int commandSize)
    {
        if (header.Repeat is 0 or > ControlHeader.MaxRepeat)
        {
            throw Broken(header.Type.ToString(), $"{header.Repeat} commands", $"1 to {ControlHeader.MaxRepeat}");
        }

        if ((ulong)payload.Length != header.Repeat * (ulong)commandSize)
        {
            throw Broken(header.Type.ToString(), $"{payload.Length} bytes for {header.Repeat} commands", $"{header.Repeat * (ulong)commandSize}");
        }
    }

    private RamBlockList Blocks(string step) => _blocks ?? throw Broken(step, "a request about RAM before the RAM block list", "the list first");

    private RamBlock BlockAt(string step, uint index)
    {
        RamBlockList blocks = Blocks(step);
        return index < (uint)blocks.Count ? blocks[(int)index] : throw Broken(step, $"RAM block index {index}", $"less than {blocks.Count}");
    }

    private static unsafe ulong AddressOf(RamBlock block) => (ulong)block.Pointer;

    private ControlProtocolException Broken(string step, string value, string bound) =>
        new($"{step}: the source {link.Peer} sent {value}; expected {bound}");

    /// <summary>Where the exchange of RAM blocks is; until it is over the source owes the next message.</summary>
    /// <param name="Awaited">What the source sends next.</param>
    /// <param name="Bound">How long it may take.</param>
    /// <param name="Deadline">When that is over.</param>
    private sealed record Exchange(ControlMessageType Awaited, TimeSpan Bound, Deadline Deadline);
}
