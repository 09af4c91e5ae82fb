using System.Buffers.Binary;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The source's end of the return path: the thread mig/src/return reads what the destination says, up to its SHUT. The members are for the sending thread.
/// </summary>
internal sealed class SourceReturnPath
{
    /// <summary>The longest payload (THREADING.md, Return path).</summary>
    private const int MostPayload = 512;

    private readonly ChannelInput _input;
    private readonly string _peer;
    private readonly Func<bool> _mayHaveAll;
    private readonly Action<string> _broken;
    private readonly object _gate = new();
    private Thread? _thread;
    private volatile bool _hasAnswered;
    private uint _pinged = CaptureWriter.PingValue;
    private uint _answered;
    private bool _hasEnded;

    /// <param name="input">The channel's return path; stays the channel's.</param>
    /// <param name="peer">The destination, for messages.</param>
    /// <param name="mayHaveAll">Whether the destination can have everything that it loads. Asked on the thread.</param>
    /// <param name="broken">Called on the thread when the destination cannot succeed any more; it makes the sending thread's channel calls return.</param>
    public SourceReturnPath(ChannelInput input, string peer, Func<bool> mayHaveAll, Action<string> broken)
    {
        _input = input;
        _peer = peer;
        _mayHaveAll = mayHaveAll;
        _broken = broken;
    }

    /// <summary>The destination has sent a message. Any thread.</summary>
    public bool HasAnswered => _hasAnswered;

    /// <summary>The destination has reported that it failed. After <see cref="Join"/>.</summary>
    public bool IsRefused { get; private set; }

    /// <summary>What was wrong; null after a SHUT that says success. After <see cref="Join"/>.</summary>
    public MigrationException? Failure { get; private set; }

    /// <summary>
    /// Sends a PING and waits for its PONG: the destination has taken everything that was sent before. Its wait ends when the channel is shut down.
    /// </summary>
    /// <param name="send">Sends a PING of this value.</param>
    /// <exception cref="MigrationException">The destination will not answer any more.</exception>
    public void Ping(Action<uint> send)
    {
        BlockingCalls.AssertAllowed();
        uint value;
        lock (_gate)
        {
            value = ++_pinged;
        }

        send(value);
        lock (_gate)
        {
            while (_answered < value)
            {
                if (_hasEnded)
                {
                    throw Failure ?? new ReturnPathClosedException($"the destination {_peer} closed the return path before it answered PING {value}");
                }

                Monitor.Wait(_gate);
            }
        }
    }

    public void Start()
    {
        _thread = new Thread(Run) { Name = "mig/src/return", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Waits until the destination has said its last word, or the channel is shut down.</summary>
    public void Join() => _thread!.Join();

    private void Run()
    {
        try
        {
            while (Next())
            {
            }
        }
        catch (Exception failed)
        {
            Failure = failed as MigrationException ?? new MigrationException(FailureReason.Internal, failed.Message, failed);
            _broken(failed.Message);
        }
        finally
        {
            lock (_gate)
            {
                _hasEnded = true;
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Reads one message; false after SHUT 0.</summary>
    private bool Next()
    {
        Span<byte> header = stackalloc byte[2 * sizeof(ushort)];
        ReadExactly(header, "a SHUT");
        ReturnPathMessage type = (ReturnPathMessage)BinaryPrimitives.ReadUInt16BigEndian(header);
        int length = BinaryPrimitives.ReadUInt16BigEndian(header[sizeof(ushort)..]);
        int expected = type switch
        {
            ReturnPathMessage.Shut or ReturnPathMessage.Pong => sizeof(uint),
            ReturnPathMessage.SwitchoverAcknowledged => 0,
            ReturnPathMessage.RequestPagesOfBlock or ReturnPathMessage.RequestPages or ReturnPathMessage.ReceivedBitmap
                or ReturnPathMessage.ResumeAcknowledged =>
                throw new ReturnPathException($"return path: the destination {_peer} sent {type}, which belongs to postcopy, and this migration has none"),
            ReturnPathMessage.TlsAlert => throw new ReturnPathException(
                $"return path: the destination {_peer} answered with an alert of TLS, so it takes connections with TLS only; set tls-creds here"),
            _ => throw new ReturnPathException($"return path: the destination {_peer} sent the unknown message {(ushort)type} of {length} bytes"),
        };
        if (length != expected)
        {
            throw new ReturnPathException(
                $"return path: the destination {_peer} sent {type} with {length} bytes; expected {expected} (at most {MostPayload} in any message)");
        }

        Span<byte> payload = stackalloc byte[sizeof(uint)];
        payload = payload[..length];
        ReadExactly(payload, $"the rest of {type}");
        _hasAnswered = true;
        return type switch
        {
            ReturnPathMessage.Shut => !EndsWith(BinaryPrimitives.ReadUInt32BigEndian(payload)),
            ReturnPathMessage.Pong => TakePong(BinaryPrimitives.ReadUInt32BigEndian(payload)),
            _ => true,
        };
    }

    private bool EndsWith(uint shut)
    {
        if (shut != 0)
        {
            IsRefused = true;
            throw new DestinationRefusedException($"SHUT {shut}");
        }

        return _mayHaveAll()
            ? true
            : throw new ReturnPathException($"return path: the destination {_peer} reported success (SHUT 0) before device state was sent");
    }

    private bool TakePong(uint value)
    {
        lock (_gate)
        {
            if (value is 0 || value > _pinged)
            {
                throw new ReturnPathException($"return path: the destination {_peer} answered PING {_pinged} with PONG {value}");
            }

            _answered = Math.Max(_answered, value);
            Monitor.PulseAll(_gate);
            return true;
        }
    }

    private void ReadExactly(Span<byte> bytes, string what)
    {
        while (!bytes.IsEmpty)
        {
            try
            {
                bytes = bytes[_input.Read(bytes, Timeout.InfiniteTimeSpan)..];
            }
            catch (ConnectionLostException closed) when (closed.Loss is ConnectionLoss.Disconnected)
            {
                throw new ReturnPathClosedException($"the destination {_peer} closed the return path before {what}");
            }
        }
    }
}

/// <summary>The destination said on the return path what it must not.</summary>
internal sealed class ReturnPathException(string message) : TransportException(FailureReason.Protocol, message);

/// <summary>The destination closed the return path without a result.</summary>
internal sealed class ReturnPathClosedException(string message) : TransportException(FailureReason.Disconnected, message);
