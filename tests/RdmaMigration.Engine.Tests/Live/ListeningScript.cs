using System.Net;
using System.Net.Sockets;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A destination over TCP that takes what comes, answers each PING, and says more or goes away as the test says.</summary>
internal sealed class ListeningScript : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private Socket? _socket;
    private Task? _reading;

    public ListeningScript() => _listener.Start();

    public MigrationUri Uri => new TcpUri("127.0.0.1", (ushort)((IPEndPoint)_listener.LocalEndpoint).Port);

    /// <summary>Called once all that was sent has these bytes.</summary>
    public (byte[] Bytes, Action<ListeningScript> Then)? When { get; init; }

    /// <summary>A SHUT on the return path.</summary>
    public static byte[] Shut(byte status) => [0, 1, 0, 4, 0, 0, 0, status];

    /// <summary>Accepts a connection and reads it.</summary>
    public void Begin() => _reading = Task.Run(() =>
    {
        _socket = _listener.AcceptSocket();
        byte[] buffer = new byte[1 << 16];
        byte[] tail = [];
        bool isSeen = false;
        byte[] pong = [0, 2, 0, 4, 0, 0, 0, 0];
        try
        {
            for (int read; (read = _socket.Receive(buffer)) > 0;)
            {
                // What is looked for may be cut in two.
                tail = [.. tail.AsSpan(Math.Max(0, tail.Length - 64)), .. buffer.AsSpan(0, read)];
                for (int at; (at = tail.AsSpan().IndexOf((byte[])[8, 0, 2, 0, 4, 0, 0, 0, (byte)(pong[7] + 1)])) >= 0;)
                {
                    pong[7]++;
                    _socket.Send(pong);
                }

                if (!isSeen && When is { } when && tail.AsSpan().IndexOf(when.Bytes) >= 0)
                {
                    isSeen = true;
                    when.Then(this);
                }
            }
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // The source, or the script, has closed.
        }
    });

    public void Answer(byte[] message) => _socket!.Send(message);

    public void Close() => _socket!.Close();

    public void Dispose()
    {
        _listener.Dispose();
        _socket?.Dispose();
        _reading?.Wait();
    }
}
