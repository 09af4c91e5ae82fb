using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace RdmaMigration.Testing;

/// <summary>
/// A QMP client that asks query-migrate every two milliseconds, on a thread of its own, and reads events as they come. It parses nothing, so that it takes
/// little of the processors that the monitor needs.
/// </summary>
internal sealed class AskingClient : IDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(2);

    private readonly Socket _socket;
    private readonly byte[] _buffer = new byte[256 << 10];
    private int _begin;
    private int _end;

    /// <summary>Connects and negotiates.</summary>
    public AskingClient(string path)
    {
        _socket = Connect(path);
        _socket.ReceiveTimeout = (int)Deadlines.Answer.TotalMilliseconds;
        ReadReply();
        Ask("qmp_capabilities");
    }

    /// <summary>Events that came.</summary>
    public int Events { get; private set; }

    /// <summary>A connection to a monitor.</summary>
    public static Socket Connect(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return socket;
    }

    /// <summary>Whether a reply to query-migrate says that the migration is active.</summary>
    public static bool IsActive(string reply) => reply.Contains("\"status\": \"active\"", StringComparison.Ordinal);

    /// <summary>Asks until it is over.</summary>
    /// <param name="isOver">Told of each reply.</param>
    /// <returns>How long each answer took.</returns>
    /// <exception cref="InvalidOperationException">It is not over, and no migration is active.</exception>
    public Task<List<TimeSpan>> AskUntilAsync(Func<string, bool> isOver) => Task.Factory.StartNew(
        () => AskUntil(isOver), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public void Dispose() => _socket.Dispose();

    private List<TimeSpan> AskUntil(Func<string, bool> isOver)
    {
        List<TimeSpan> answers = [];
        long begun = Stopwatch.GetTimestamp();
        while (true)
        {
            long asked = Stopwatch.GetTimestamp();
            string reply = Ask("query-migrate");
            answers.Add(Stopwatch.GetElapsedTime(asked));
            if (isOver(reply))
            {
                return answers;
            }

            if (!IsActive(reply))
            {
                throw new InvalidOperationException($"query-migrate: {reply}");
            }

            while (s_interval - Stopwatch.GetElapsedTime(asked) is { Ticks: > 0 } left && _socket.Poll(left, SelectMode.SelectRead))
            {
                Receive();
                CountEvents();
            }

            if (Stopwatch.GetElapsedTime(begun) > Deadlines.Migration)
            {
                throw new TimeoutException($"not over after {answers.Count} answers and {Events} events");
            }
        }
    }

    private string Ask(string command)
    {
        _socket.Send(Encoding.ASCII.GetBytes($$"""{"execute": "{{command}}"}"""));
        return ReadReply();
    }

    /// <summary>Waits for a line that is no event.</summary>
    private string ReadReply()
    {
        string? reply;
        while ((reply = CountEvents()) is null)
        {
            Receive();
        }

        return reply;
    }

    /// <summary>Takes the events that have come.</summary>
    /// <returns>The line behind them; null if none has come.</returns>
    private string? CountEvents()
    {
        while (_buffer.AsSpan(_begin.._end).IndexOf((byte)'\n') is int length and >= 0)
        {
            ReadOnlySpan<byte> line = _buffer.AsSpan(_begin, length);
            _begin += length + 1;
            if (!line.StartsWith("{\"timestamp\""u8))
            {
                return Encoding.UTF8.GetString(line);
            }

            Events++;
        }

        return null;
    }

    private void Receive()
    {
        _buffer.AsSpan(_begin.._end).CopyTo(_buffer);
        (_begin, _end) = (0, _end - _begin);
        int received = _socket.Receive(_buffer.AsSpan(_end));
        _end += received > 0 ? received : throw new EndOfStreamException("the monitor closed its socket");
    }
}
