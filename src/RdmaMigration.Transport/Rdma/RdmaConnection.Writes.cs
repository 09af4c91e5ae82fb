using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <content>RDMA writes of RAM: posted without waiting, counted in bytes, completed in order.</content>
internal sealed partial class RdmaConnection : IRamLink
{
    /// <summary>A completion is asked for every so many bytes: 16 times rarer than a chunk's worth would on a fast device, and twice a second on a slow one.</summary>
    private const long SignalBytes = 4 << 20;

    private long _postedBytes;
    private long _signaledBytes;
    private long _writtenBytes;
    private int _writesSinceSignal;

    /// <inheritdoc/>
    public long PostedBytes => _postedBytes;

    /// <inheritdoc/>
    public long WrittenBytes => Volatile.Read(ref _writtenBytes);

    /// <inheritdoc/>
    public bool TryWrite(nint address, uint length, uint localKey, ulong remoteAddress, uint remoteKey, bool last)
    {
        long posted = _postedBytes + length;

        // A queue that is full must hold at least one request that will say so when it is done.
        bool signal = last || posted - _signaledBytes >= SignalBytes || _writesSinceSignal + 1 >= _options.SendDepth / 4;
        ulong id = ((ulong)posted << 2) | (ulong)SendKind.Write;
        if (!TryPost(SendRequest.RdmaWrite(id, address, length, localKey, remoteAddress, remoteKey, signal ? SendOptions.Signaled : SendOptions.None)))
        {
            return false;
        }

        _postedBytes = posted;
        _writesSinceSignal++;
        if (signal)
        {
            _signaledBytes = posted;
            _writesSinceSignal = 0;
        }

        return true;
    }

    /// <inheritdoc/>
    public void Park(long writtenBytes, TimeSpan timeout)
    {
        long deadline = DeadlineAfter(timeout);
        bool news = false;
        _spin.Begin(deadline);
        while (!news && _spin.Goes())
        {
            news = HasNews(writtenBytes);
        }

        if (!news)
        {
            _ready.Reset();
            ArmReceives();
            if (!HasNews(writtenBytes))
            {
                Wait(deadline);
            }
        }

        _spin.End();
    }

    private bool HasNews(long writtenBytes)
    {
        ReapSends();
        if (WrittenBytes != writtenBytes || Lost is not null)
        {
            return true;
        }

        ReleaseMessage();
        return _arrived = TakeReceived();
    }
}
