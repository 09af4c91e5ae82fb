using System.Diagnostics;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>An outgoing channel in memory, whose other side does what a test says, at the byte that it says.</summary>
internal sealed class ScriptedDestination : OutgoingChannel
{
    private readonly object _gate = new();
    private readonly MemoryStream _taken = new();
    private readonly ManualResetEventSlim _standsStill = new();
    private readonly Reader? _reader;
    private readonly Writer _writer;
    private ConnectionLostException? _lost;
    private bool _goesOn;

    /// <param name="returnPath">It has a way back.</param>
    public ScriptedDestination(bool returnPath = false)
    {
        _reader = returnPath ? new Reader(this) : null;
        _writer = new Writer(this);
    }

    /// <summary>So many bytes are taken, and then no more until the channel is shut down.</summary>
    public long StopsAfter { get; init; } = long.MaxValue;

    /// <summary><see cref="ChannelOutput.Finish"/> returns only when the channel is shut down.</summary>
    public bool StopsAtFinish { get; init; }

    /// <summary>A command or a file.</summary>
    public bool Confirms { get; init; }

    /// <summary>It says this on the way back once it has been sent everything.</summary>
    public byte[]? LastWords { get; init; }

    /// <summary>What the sender calls when it is told to give up; for what comes at the same moment.</summary>
    public Action OnShutdown { get; init; } = () => { };

    public override string Peer => "the script";

    public override ConnectionLostException? Lost => Volatile.Read(ref _lost);

    public override string Device => "script";

    public override ChannelOutput Output => _writer;

    public override ChannelInput? Input => _reader;

    /// <summary>Bytes that were sent.</summary>
    public long SentBytes => _taken.Length;

    /// <summary>What was sent. When nobody sends any more.</summary>
    public byte[] Taken => _taken.ToArray();

    /// <summary>How often it was closed.</summary>
    public int Disposals { get; private set; }

    /// <summary>How often it was told that the sender gives up.</summary>
    public int ErrorsTold { get; private set; }

    /// <summary>
    /// Waits until the sender is blocked by <see cref="StopsAfter"/> or <see cref="StopsAtFinish"/>, or has sent everything to a silent destination.
    /// </summary>
    public void AwaitStandstill() =>
        Assert.True(_standsStill.Wait(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken), "the sender does not come so far");

    /// <summary>It takes the rest, after it has stood still.</summary>
    public void GoOn()
    {
        lock (_gate)
        {
            _goesOn = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>It is killed.</summary>
    public void Die() => End(ConnectionLoss.Disconnected, $"{Peer} disconnected");

    /// <summary>Says something on the way back.</summary>
    public void Say(params byte[] bytes) => _reader!.Add(bytes);

    /// <summary>The way back meets this, once what was said is read.</summary>
    public void BreakReturnPath(TransportException failure) => _reader!.Break(failure);

    public override void Shutdown(string reason)
    {
        OnShutdown();
        End(ConnectionLoss.Shutdown, reason);
    }

    public override void Dispose() => Disposals++;

    protected override void WriteError() => ErrorsTold++;

    private void End(ConnectionLoss loss, string reason)
    {
        lock (_gate)
        {
            _lost ??= new ConnectionLostException(loss, reason, Stopwatch.GetTimestamp());
            Monitor.PulseAll(_gate);
        }
    }

    private void StandStill()
    {
        _standsStill.Set();
        lock (_gate)
        {
            while (_lost is null && !_goesOn)
            {
                Monitor.Wait(_gate);
            }
        }

        ThrowIfLost();
    }

    private void ThrowIfLost()
    {
        if (Lost is { } lost)
        {
            throw new ConnectionLostException(lost.Loss, lost.Message, lost.DetectedAt);
        }
    }

    private sealed class Writer(ScriptedDestination destination) : ChannelOutput
    {
        public override long SentBytes => destination.SentBytes;

        public override bool FinishProves => destination.Confirms;

        protected override void WriteBytes(ReadOnlySpan<byte> bytes, TimeSpan patience)
        {
            destination.ThrowIfLost();
            long room = destination.StopsAfter - destination._taken.Length;
            if (bytes.Length > room && room >= 0)
            {
                destination._taken.Write(bytes[..(int)room]);
                destination.StandStill();
                bytes = bytes[(int)room..];
            }

            destination._taken.Write(bytes);
        }

        protected override void End()
        {
            destination.ThrowIfLost();
            if (destination.StopsAtFinish)
            {
                destination.StandStill();
            }

            if (destination.LastWords is not null)
            {
                destination.Say(destination.LastWords);
            }
            else
            {
                destination._standsStill.Set();
            }
        }
    }

    private sealed class Reader(ScriptedDestination destination) : ChannelInput
    {
        private readonly Queue<byte> _said = new();
        private TransportException? _failure;

        public void Add(ReadOnlySpan<byte> bytes)
        {
            lock (destination._gate)
            {
                foreach (byte one in bytes)
                {
                    _said.Enqueue(one);
                }

                Monitor.PulseAll(destination._gate);
            }
        }

        public void Break(TransportException failure)
        {
            lock (destination._gate)
            {
                _failure = failure;
                Monitor.PulseAll(destination._gate);
            }
        }

        /// <summary>What was said before the shutdown is read before it, as RDMA has it.</summary>
        protected override int ReadBytes(Span<byte> buffer, TimeSpan idle)
        {
            lock (destination._gate)
            {
                while (_said.Count == 0)
                {
                    destination.ThrowIfLost();
                    if (_failure is not null)
                    {
                        throw _failure;
                    }

                    Monitor.Wait(destination._gate);
                }

                buffer[0] = _said.Dequeue();
                return 1;
            }
        }
    }
}
