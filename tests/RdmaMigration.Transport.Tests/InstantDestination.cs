using RdmaMigration.Memory;

namespace RdmaMigration.Transport.Tests;

/// <summary>
/// A destination in memory behind a link whose queue completes at once, or only while the sender parks. It keeps the books of the credit rule: a message
/// without a credit, or a write under a key that was not handed out, throws.
/// </summary>
/// <param name="memory">One for each of the source's blocks; null when writes are only counted.</param>
internal sealed unsafe class InstantDestination(IReadOnlyList<RamBlock>? memory) : IControlLink, IWriteLane, ILaneWait
{
    private const uint WholeBlocks = 0xffff;

    private readonly Queue<(int Due, ControlHeader Header, byte[] Payload)> _arriving = new();
    private readonly Dictionary<uint, (int Block, ulong Start, ulong End)> _keys = [];
    private readonly Queue<(nint Address, uint Length, int Block, ulong Offset)> _underWay = new();
    private byte[] _message = [];
    private bool _credit;
    private bool _refused;
    private int _now;

    public string Peer => "10.0.0.9:4444";

    public ReadOnlySpan<byte> Message => _message;

    public long PostedBytes { get; private set; }

    public long WrittenBytes { get; private set; }

    public long Progress => WrittenBytes;

    /// <summary>Posts that are refused before the next one is taken: a send queue that is full.</summary>
    public int Refuse { get; set; }

    /// <summary>An answer arrives after so many further writes, or when the sender parks.</summary>
    public int LateBy { get; set; }

    /// <summary>A write is done, and read from the source's memory, no sooner than the sender parks: one each time.</summary>
    public bool Lags { get; set; }

    public int Parked { get; private set; }

    public int Writes { get; private set; }

    public int LargestWrite { get; private set; }

    public List<RegisterRequest> Requests { get; } = [];

    public List<CompressRequest> Clears { get; } = [];

    /// <summary>The blocks as RAM_BLOCKS_RESULT would name them.</summary>
    public static DestinationBlock[] Blocks(IReadOnlyList<RamBlock> blocks, bool pinAll) =>
        [.. blocks.Select((block, index) => new DestinationBlock(Base(index), (ulong)(index + 1) << 40, block.Length, pinAll ? WholeBlocks : 0))];

    /// <summary>Gives the first credit.</summary>
    public InstantDestination Ready()
    {
        GiveCredit();
        return this;
    }

    public bool TryReceive()
    {
        if (!_arriving.TryPeek(out (int Due, ControlHeader Header, byte[] Payload) next) || next.Due > _now)
        {
            return false;
        }

        _arriving.Dequeue();
        _message = new byte[ControlHeader.Size + next.Payload.Length];
        next.Header.Write(_message);
        next.Payload.CopyTo(_message.AsSpan(ControlHeader.Size));
        return true;
    }

    public bool Receive(TimeSpan timeout) => TryReceive() ? true : throw new InvalidOperationException("nothing will ever arrive");

    public void Send(ControlHeader header, ReadOnlySpan<byte> payload)
    {
        Assert.True(_credit, $"{header.Type} without a credit");
        _credit = false;
        switch (header.Type)
        {
            case ControlMessageType.RegisterRequest:
                Register(RegisterRequest.Read(payload));
                break;
            case ControlMessageType.Compress:
                Clear(CompressRequest.Read(payload));
                break;
            default:
                break;
        }

        GiveCredit();
    }

    public bool TryWrite(nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, bool last)
    {
        if (Refuse > 0)
        {
            Refuse--;
            _refused = true;
            return false;
        }

        int block = (int)(remoteAddress >> 40) - 1;
        ulong offset = remoteAddress - Base(block);
        Assert.True(memory is null || remoteKey == WholeBlocks || (
            _keys[remoteKey] is var key && key.Block == block && offset >= key.Start && offset + length <= key.End));
        Writes++;
        _now++;
        LargestWrite = Math.Max(LargestWrite, (int)length);
        PostedBytes += length;
        if (Lags)
        {
            _underWay.Enqueue((address, length, block, offset));
        }
        else
        {
            Take(address, length, block, offset);
        }

        return true;
    }

    public void Park(long progress, TimeSpan timeout)
    {
        Parked++;
        Assert.True(
            _arriving.Count > 0 || _underWay.Count > 0 || _refused || timeout != Timeout.InfiniteTimeSpan, "the sender waits for what will never come");
        _refused = false;
        _now += LateBy;
        if (_underWay.TryDequeue(out (nint Address, uint Length, int Block, ulong Offset) write))
        {
            Take(write.Address, write.Length, write.Block, write.Offset);
        }
    }

    /// <summary>A write of the window is not done.</summary>
    public bool IsUnderWay(OutgoingWindow window) =>
        _underWay.Any(write => write.Block == window.Block && write.Offset >= window.Start && write.Offset < window.End);

    private static ulong Base(int block) => (ulong)(block + 1) << 40 | 0x1000;

    private void Take(nint address, uint length, int block, ulong offset)
    {
        if (memory is not null)
        {
            new ReadOnlySpan<byte>((void*)address, (int)length).CopyTo(memory[block].Slice(offset, (int)length));
        }

        WrittenBytes += length;
    }

    private void GiveCredit()
    {
        _credit = true;
        _arriving.Enqueue((_now + LateBy, new ControlHeader(0, ControlMessageType.Ready, 1), []));
    }

    private void Register(RegisterRequest request)
    {
        Requests.Add(request);
        uint key = (uint)Requests.Count;
        ulong start = request.Key - ((ulong)(request.BlockIndex + 1) << 40);
        Assert.Equal(0UL, start % Chunk.Size);
        _keys.Add(key, ((int)request.BlockIndex, start, start + ((request.Chunks + 1) << Chunk.Shift)));
        byte[] result = new byte[RegisterResult.Size];
        new RegisterResult(key, Base((int)request.BlockIndex)).Write(result);
        _arriving.Enqueue((_now + LateBy, new ControlHeader(RegisterResult.Size, ControlMessageType.RegisterResult, 1), result));
    }

    private void Clear(CompressRequest request)
    {
        Clears.Add(request);
        memory?[(int)request.BlockIndex].Zero(request.Offset - ((ulong)(request.BlockIndex + 1) << 40), request.Length);
    }
}

/// <summary>The windows of a plan, without a device to register them with. One that is returned before its writes are done throws.</summary>
internal sealed class PlannedWindows(IWindowPlan plan, InstantDestination destination) : IWindowSource
{
    private ulong _pinned;

    public long ZeroBytes => plan.ZeroBytes;

    public int Outstanding { get; private set; }

    /// <summary>The most bytes that were registered at one time.</summary>
    public ulong MostPinned { get; private set; }

    public OutgoingWindow? Next()
    {
        OutgoingWindow window = new();
        return plan.TryNext(window) ? window : null;
    }

    public void Register(OutgoingWindow window)
    {
        Outstanding++;
        _pinned += window.Span;
        MostPinned = Math.Max(MostPinned, _pinned);
    }

    public void Return(OutgoingWindow window)
    {
        Assert.False(destination.IsUnderWay(window), "a window is returned amid its writes");
        Outstanding -= window.HasData ? 1 : 0;
        _pinned -= window.Span;
    }

    public void Dispose()
    {
    }
}
