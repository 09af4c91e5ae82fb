using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>An accepted connection that is not served yet. One thread at a time uses it.</summary>
internal sealed class Candidate : IDisposable
{
    private readonly Socket _socket;
    private readonly PolledDescriptor _descriptor;
    private readonly byte[] _first = new byte[FirstBytes.Length];
    private int _count;

    /// <param name="socket">Accepted; owned from now on, also when the constructor throws.</param>
    /// <param name="listening">The address of a UNIX domain socket, whose clients have none.</param>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public Candidate(Socket socket, MigrationUri listening)
    {
        _socket = socket;
        socket.Blocking = false;
        if (socket.RemoteEndPoint is IPEndPoint source)
        {
            Address = source.Address.IsIPv4MappedToIPv6 ? source.Address.MapToIPv4() : source.Address;
            Peer = new IPEndPoint(Address, source.Port).ToString();
        }
        else
        {
            Peer = listening.ToString();
        }

        // Now, not when it is served: by then the source may have sent everything. Out of descriptors, the connection is reset.
        Abort(isOn: true);
        _descriptor = new PolledDescriptor(socket, Peer);
        Abort(isOn: false);
    }

    /// <summary>The other side, for messages.</summary>
    public string Peer { get; }

    /// <summary>Null on a UNIX domain socket.</summary>
    public IPAddress? Address { get; }

    /// <summary>The socket's descriptor.</summary>
    public int Number => _descriptor.Number;

    /// <summary>The bytes that it has sent and that have been read: at most <see cref="FirstBytes.Length"/>.</summary>
    public ReadOnlySpan<byte> First => _first.AsSpan(0, _count);

    /// <summary>It has closed, or the connection is lost, before it showed what it is.</summary>
    public bool HasGone { get; private set; }

    /// <summary>Reads what is there of the first bytes, without waiting.</summary>
    public ConnectionKind Look()
    {
        ConnectionKind kind;
        while ((kind = FirstBytes.Classify(First)) is ConnectionKind.Unknown)
        {
            int count = _socket.Receive(_first.AsSpan(_count), SocketFlags.None, out SocketError error);
            if (error is SocketError.WouldBlock or SocketError.Interrupted)
            {
                break;
            }

            if (count <= 0)
            {
                HasGone = true;
                break;
            }

            _count += count;
        }

        return kind;
    }

    /// <summary>Makes a channel of it, which owns it from now on and hands out the first bytes again.</summary>
    public DescriptorIncomingChannel Open(string scheme, CompletionWaiter waiter, TimeSpan keepAlive, Action disposed, Action ramBegins)
    {
        if (Address is not null)
        {
            TcpOptions.Apply(_socket, _descriptor, keepAlive);
        }

        return new DescriptorIncomingChannel(_descriptor, scheme, isSocket: true, waiter, _first.AsMemory(0, _count), disposed)
        {
            Begun = ramBegins,
            SourceAddress = Address,
        };
    }

    /// <summary>Closes the connection. Not after <see cref="Open"/>.</summary>
    public void Dispose() => _descriptor.Dispose();

    /// <summary>Closes it so that what the other side has written fails there.</summary>
    public void Reset()
    {
        Abort(isOn: true);
        _descriptor.Dispose();
    }

    /// <summary>Whether the connection is reset when the socket is closed.</summary>
    private void Abort(bool isOn) => _socket.LingerState = new LingerOption(isOn, seconds: 0);
}
