using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// RDMA writes of RAM over one send queue: posted without waiting, counted in bytes, completed in order. A connection may have several lanes, over one queue
/// pair or over one each; all report their progress to the same <see cref="ConnectionState"/>.
/// </summary>
internal sealed class WriteLane : IWriteLane, ISendLane
{
    /// <summary>
    /// A completion is asked for at least this often: 4 chunks are seldom enough for a fast device, and often enough for a slow one to show progress.
    /// </summary>
    private const long SignalBytes = 4 << 20;

    private readonly SendQueue _sends;
    private readonly ConnectionState _state;
    private int _lane;
    private long _postedBytes;
    private long _signaledBytes;
    private long _writtenBytes;

    private WriteLane(SendQueue sends, ConnectionState state)
    {
        _sends = sends;
        _state = state;
    }

    /// <inheritdoc/>
    public long PostedBytes => _postedBytes;

    /// <inheritdoc/>
    public long WrittenBytes => Volatile.Read(ref _writtenBytes);

    public static WriteLane Create(SendQueue sends, ConnectionState state)
    {
        WriteLane lane = new(sends, state);
        lane._lane = sends.Add(lane);
        return lane;
    }

    /// <inheritdoc/>
    public bool TryWrite(nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, bool last)
    {
        long posted = _postedBytes + length;
        bool signaled = last || posted - _signaledBytes >= SignalBytes || _sends.NeedsSignal;
        SendOptions options = signaled ? SendOptions.Signaled : SendOptions.None;
        ulong id = SendQueue.Id(_lane, (ulong)posted);
        if (!_sends.TryPost(SendRequest.RdmaWrite(id, address, length, localKey, remoteAddress, remoteKey, options), signaled))
        {
            return false;
        }

        _postedBytes = posted;
        if (signaled)
        {
            _signaledBytes = posted;
        }

        return true;
    }

    /// <inheritdoc/>
    public void OnSent(ulong value)
    {
        Volatile.Write(ref _writtenBytes, (long)value);
        _state.CountProgress();
    }
}
