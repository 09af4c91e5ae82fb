using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Testing;

/// <summary>
/// A link between a source and a destination over a socket that a test can hold at a byte of the stream, or cut. It takes one connection. While it holds,
/// both peers stay connected and nothing of that direction passes.
/// </summary>
public sealed class HoldingProxy : IDisposable
{
    /// <summary>What a kernel keeps for the proxy, so that a held source blocks soon.</summary>
    private const int ReceiveBuffer = 64 << 10;

    /// <summary>The SHUT of a return path, without its status.</summary>
    private static readonly byte[] s_result = [0, 1, 0, 4];

    private readonly EndPoint _destination;
    private readonly Socket _listener;
    private readonly TaskCompletionSource _held = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _released = new();
    private readonly object _gate = new();
    private Socket? _toSource;
    private Socket? _toDestination;
    private bool _isCut;

    /// <summary>A link to this destination.</summary>
    /// <param name="destination">A URI with tcp: or unix:. The proxy listens likewise.</param>
    public HoldingProxy(string destination)
    {
        if (destination.StartsWith("unix:", StringComparison.Ordinal))
        {
            string path = destination["unix:".Length..];
            _destination = new UnixDomainSocketEndPoint(path);
            _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            _listener.Bind(new UnixDomainSocketEndPoint(path + ".proxy"));
            Uri = destination + ".proxy";
        }
        else
        {
            string[] parts = destination.Split(':');
            _destination = new IPEndPoint(IPAddress.Parse(parts[^2]), int.Parse(parts[^1], CultureInfo.InvariantCulture));
            _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = ReceiveBuffer };
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Uri = $"tcp:127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}";
        }

        _listener.Listen(1);
    }

    /// <summary>What a source migrates to.</summary>
    public string Uri { get; }

    /// <summary>This many bytes of the stream pass, and then none.</summary>
    public long HoldsAfter { get; init; } = long.MaxValue;

    /// <summary>The stream passes up to the end of these bytes.</summary>
    public byte[]? HoldsAt { get; init; }

    /// <summary>One bit of the byte at this place of the stream changes on the way; -1 for none.</summary>
    public long SpoilsAt { get; init; } = -1;

    /// <summary>The destination's result (SHUT) does not pass. What it reports before does.</summary>
    public bool HoldsResult { get; init; }

    /// <summary>Done once it holds.</summary>
    public Task Held => _held.Task;

    /// <summary>Begins to take the connection.</summary>
    public HoldingProxy Begin()
    {
        Run("proxy/stream", () =>
        {
            Socket toSource = _listener.Accept();
            Socket toDestination = new(_destination.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
            lock (_gate)
            {
                (_toSource, _toDestination) = (toSource, toDestination);
            }

            toDestination.Connect(_destination);
            Run("proxy/return", () => Pass(toDestination, toSource, ResultIn, -1));
            Pass(toSource, toDestination, HoldIn, SpoilsAt);
        });
        return this;
    }

    /// <summary>Lets everything pass.</summary>
    public void Release() => _released.Set();

    /// <summary>Ends both connections without another byte, as a host that is gone.</summary>
    public void Cut()
    {
        lock (_gate)
        {
            _isCut = true;
            foreach (Socket? socket in (Socket?[])[_toSource, _toDestination])
            {
                if (socket is not null)
                {
                    socket.LingerState = new LingerOption(enable: true, seconds: 0);
                    socket.Dispose();
                }
            }

            (_toSource, _toDestination) = (null, null);
        }

        _released.Set();
    }

    public void Dispose()
    {
        _listener.Dispose();
        Cut();
    }

    /// <summary>Passes bytes in one direction to its end.</summary>
    /// <param name="from">Where they come from.</param>
    /// <param name="to">Where they go.</param>
    /// <param name="find">How many bytes of a piece pass before the hold, by the bytes before it and the piece; -1 for all.</param>
    /// <param name="spoilsAt">Where a bit changes.</param>
    private void Pass(Socket from, Socket to, Func<long, byte[], int> find, long spoilsAt)
    {
        byte[] buffer = new byte[32 << 10];
        byte[] tail = [];
        long passed = 0;
        bool isHolding = true;
        for (int read; (read = from.Receive(buffer)) > 0; passed += read)
        {
            if (spoilsAt >= passed && spoilsAt < passed + read)
            {
                buffer[spoilsAt - passed] ^= 1;
            }

            // What is looked for may come in two pieces.
            byte[] looked = [.. tail, .. buffer.AsSpan(0, read)];
            int hold = isHolding ? find(passed - tail.Length, looked) - tail.Length : -1;
            if (hold >= 0 && hold <= read)
            {
                isHolding = false;
                Send(to, buffer.AsSpan(0, hold));
                _held.TrySetResult();
                _released.Wait();
                Send(to, buffer.AsSpan(hold, read - hold));
            }
            else
            {
                Send(to, buffer.AsSpan(0, read));
            }

            tail = looked[^Math.Min(looked.Length, HoldsAt?.Length ?? s_result.Length)..];
        }

        to.Shutdown(SocketShutdown.Send);
    }

    private int HoldIn(long before, byte[] bytes)
    {
        if (HoldsAt is { } mark)
        {
            int at = bytes.AsSpan().IndexOf(mark);
            return at < 0 ? -1 : at + mark.Length;
        }

        return HoldsAfter - before <= bytes.Length ? (int)(HoldsAfter - before) : -1;
    }

    private int ResultIn(long before, byte[] bytes) => HoldsResult ? bytes.AsSpan().IndexOf(s_result) : -1;

    private static void Send(Socket to, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[to.Send(bytes)..];
        }
    }

    private void Run(string name, Action pass)
    {
        Thread thread = new(() =>
        {
            try
            {
                pass();
            }
            catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
            {
                // A peer, or the test, has closed.
                PassOnTheEnd();
            }
        })
        {
            Name = name,
            IsBackground = true,
        };
        thread.Start();
    }

    /// <summary>A connection that fails on one side fails on the other.</summary>
    private void PassOnTheEnd()
    {
        lock (_gate)
        {
            if (!_isCut && _held.Task is { IsCompleted: false })
            {
                Cut();
            }
        }
    }
}
