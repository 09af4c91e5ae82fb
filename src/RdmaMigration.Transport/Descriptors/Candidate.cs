using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>An accepted connection that is not served yet. One thread at a time uses it.</summary>
internal sealed class Candidate : IDisposable
{
    /// <summary>A TLS 1.2 record with the fatal alert unexpected_message (RFC 5246, section 7.2).</summary>
    private static readonly byte[] s_unexpectedMessage = [0x15, 0x03, 0x03, 0, 2, 2, 10];

    // A source checks the certificate of this side when TLS itself has finished.
    private const string WentAfterHandshake =
        "it disconnected after the TLS handshake and before its stream; its log has the reason, such as a certificate of this side that it does not trust";

    private readonly Socket _socket;
    private readonly PolledDescriptor _descriptor;
    private readonly byte[] _first = new byte[FirstBytes.Length];
    private int _count;
    private TlsSession? _tls;

    /// <param name="socket">Accepted; owned from now on, also when the constructor throws.</param>
    /// <param name="listening">The address of a UNIX domain socket, whose clients have none.</param>
    /// <exception cref="ConnectFailedException">This process has no descriptor left.</exception>
    public Candidate(Socket socket, MigrationUri listening)
    {
        _socket = socket;
        socket.Blocking = false;
        if (socket.RemoteEndPoint is IPEndPoint source)
        {
            IPAddress address = source.Address.IsIPv4MappedToIPv6 ? source.Address.MapToIPv4() : source.Address;
            EndPoint = new IPEndPoint(address, source.Port);
            Peer = EndPoint.ToString();
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

    /// <summary>Has a connection that begins with a TLS handshake go through it. Null: it is of kind <see cref="ConnectionKind.TlsClient"/>.</summary>
    public TlsCredentials? Credentials { get; set; }

    /// <summary>It uses TLS. <see cref="First"/> has bytes then when the peer is trusted.</summary>
    public bool IsEncrypted => _tls is not null;

    /// <summary>Why there is no TLS with it; null when there is, or none is tried.</summary>
    public string? Refusal { get; private set; }

    /// <summary>The address and port of the other side; null on a UNIX domain socket.</summary>
    public IPEndPoint? EndPoint { get; }

    /// <summary>Null on a UNIX domain socket.</summary>
    public IPAddress? Address => EndPoint?.Address;

    /// <summary>The socket's descriptor.</summary>
    public int Number => _descriptor.Number;

    /// <summary>The bytes that it has sent and that have been read, decrypted: at most <see cref="FirstBytes.Length"/>.</summary>
    public ReadOnlySpan<byte> First => _first.AsSpan(0, _count);

    /// <summary>It has closed, or the connection is lost, before it showed what it is.</summary>
    public bool HasGone { get; private set; }

    /// <summary>Reads what is there of the first bytes, without waiting.</summary>
    public ConnectionKind Look()
    {
        ConnectionKind kind;
        while ((kind = Classify()) is ConnectionKind.Unknown)
        {
            int? count = Receive();
            if (count is null)
            {
                break;
            }

            if (count <= 0)
            {
                HasGone = true;
                break;
            }

            _count += count.Value;
        }

        return kind;
    }

    /// <summary>Tells a source that wants no TLS that it is needed here: an alert, as a TLS server sends it.</summary>
    public void DemandTls() => _ = Descriptor.Write(_descriptor.Number, s_unexpectedMessage);

    /// <summary>Makes a channel of it, which owns it from now on and hands out the first bytes again.</summary>
    public DescriptorIncomingChannel Open(string scheme, CompletionWaiter waiter, TimeSpan keepAlive, Action disposed, Action ramBegins)
    {
        if (Address is not null)
        {
            TcpOptions.Apply(_socket, _descriptor, keepAlive);
        }

        return new DescriptorIncomingChannel(_descriptor, scheme, isSocket: true, waiter, _first.AsMemory(0, _count), disposed, _tls)
        {
            Begun = ramBegins,
            SourceAddress = Address,
        };
    }

    /// <summary>Closes the connection. Not after <see cref="Open"/>.</summary>
    public void Dispose()
    {
        _tls?.Dispose();
        _descriptor.Dispose();
    }

    /// <summary>Closes it so that what the other side has written fails there.</summary>
    public void Reset()
    {
        Abort(isOn: true);
        Dispose();
    }

    private ConnectionKind Classify()
    {
        ConnectionKind kind = FirstBytes.Classify(First);
        if (kind is ConnectionKind.TlsClient && Credentials is not null && _tls is null)
        {
            _tls = TlsSession.Accept(_descriptor, First.ToArray(), Credentials);
            _count = 0;
            return ConnectionKind.Unknown;
        }

        return kind;
    }

    /// <summary>Bytes; 0 or less when it has gone; null when nothing is there.</summary>
    private int? Receive()
    {
        if (_tls is null)
        {
            int count = _socket.Receive(_first.AsSpan(_count), SocketFlags.None, out SocketError error);
            return error is SocketError.WouldBlock or SocketError.Interrupted ? null : count;
        }

        try
        {
            int? count = _tls.TryRead(_first.AsSpan(_count));
            Refusal = count == 0 ? WentAfterHandshake : null;
            return count;
        }
        catch (TransportException failed)
        {
            Refusal = failed is ConnectionLostException { Loss: ConnectionLoss.Disconnected } ? WentAfterHandshake : failed.Message;
            return 0;
        }
    }

    /// <summary>Whether the connection is reset when the socket is closed.</summary>
    private void Abort(bool isOn) => _socket.LingerState = new LingerOption(isOn, seconds: 0);
}
