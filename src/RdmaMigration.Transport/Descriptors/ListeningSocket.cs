using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>
/// A bound socket that listens, TCP or UNIX domain, and can be opened again where it was. The path of the latter is removed with it, as long as it is still
/// this socket's.
/// </summary>
internal sealed class ListeningSocket
{
    private readonly bool _isDual;
    private readonly string? _path;
    private Socket _socket;
    private FileNode? _node;
    private NodeAccess? _access;
    private bool _isPathLeft;

    private ListeningSocket(Socket socket, EndPoint address, bool isDual)
    {
        _socket = socket;
        _isDual = isDual;
        _path = (address as UnixPath)?.Path;
        _node = _path is null ? null : FileNode.Named(_path);
        Address = _path is null ? socket.LocalEndPoint! : address;
    }

    /// <summary>The descriptor; it does not block.</summary>
    public int Number => (int)_socket.SafeHandle.DangerousGetHandle();

    /// <summary>Where it listens; the port is the one that was chosen when 0 was asked.</summary>
    public EndPoint Address { get; }

    /// <summary>Listens at an address or a <see cref="UnixPath"/>.</summary>
    /// <param name="address">Where.</param>
    /// <param name="isDual">Of an IPv6 address: takes IPv4 too.</param>
    /// <param name="backlog">Connections that the kernel may let in before they are accepted.</param>
    /// <param name="error">Why not, when null is returned.</param>
    public static ListeningSocket? TryListen(EndPoint address, bool isDual, int backlog, out SocketException? error) =>
        TryOpen(address, isDual, backlog, access: null, out error) is { } socket ? new ListeningSocket(socket, address, isDual) : null;

    /// <summary>Listens again where this one did, which is closed.</summary>
    /// <exception cref="SocketException">Another program listens there by now.</exception>
    /// <exception cref="ConnectFailedException">The path of the closed socket is still there, and this user may not remove it.</exception>
    public void Reopen(int backlog)
    {
        if (_isPathLeft && IsPathOurs && RemovePath() is { } kept)
        {
            throw new ConnectFailedException($"{kept}; remove it, or give this user write permission for its directory");
        }

        _socket = TryOpen(Address, _isDual, backlog, _access, out SocketException? error) ?? throw error!;
        _node = _path is null ? null : FileNode.Named(_path);
    }

    /// <summary>Accepts a connection; null when nobody is there.</summary>
    /// <exception cref="SocketException">Nobody can be let in now: most likely this process has no descriptor left.</exception>
    public Socket? Accept()
    {
        while (true)
        {
            try
            {
                return _socket.Accept();
            }
            catch (SocketException failed)
            {
                switch (failed.SocketErrorCode)
                {
                    case SocketError.WouldBlock:
                        return null;
                    case SocketError.ConnectionAborted or SocketError.ConnectionReset or SocketError.Interrupted
                        or SocketError.NetworkDown or SocketError.NetworkUnreachable or SocketError.HostDown or SocketError.HostUnreachable:
                        // accept(2): the connection's own error; it has gone. The next one.
                        break;
                    default:
                        throw;
                }
            }
        }
    }

    /// <summary>Stops listening. Returns what could not be cleaned up, in words; null when nothing is left.</summary>
    public string? Close()
    {
        bool isOurs = IsPathOurs;
        _access = isOurs ? NodeAccess.Of(_path!) : null;
        _socket.Dispose();
        string? kept = isOurs ? RemovePath() : null;
        _isPathLeft = kept is not null;
        return kept;
    }

    private bool IsPathOurs => _path is not null && FileNode.Named(_path) is { } node && node == _node;

    private string? RemovePath()
    {
        try
        {
            File.Delete(_path!);
            return null;
        }
        catch (Exception kept) when (kept is IOException or UnauthorizedAccessException)
        {
            return $"the socket '{_path}' could not be removed: {kept.Message}";
        }
    }

    private static Socket? TryOpen(EndPoint address, bool isDual, int backlog, NodeAccess? access, out SocketException? error)
    {
        Socket? socket = null;
        try
        {
            // A TCP socket of the BCL has SO_REUSEADDR when it is bound.
            ProtocolType protocol = address is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified;
            socket = new Socket(address.AddressFamily, SocketType.Stream, protocol) { Blocking = false };
            if (address.AddressFamily is AddressFamily.InterNetworkV6)
            {
                socket.DualMode = isDual;
            }

            socket.Bind(address);

            // Before it listens: until then whoever connects is refused, so nobody gets in that should not.
            access?.Restore(((UnixPath)address).Path);
            socket.Listen(backlog);
            error = null;
            return socket;
        }
        catch (SocketException failed)
        {
            socket?.Dispose();
            error = failed;
            return null;
        }
    }
}

/// <summary>
/// The address of a UNIX domain socket. Unlike the BCL's, the socket does not remove the path when it is closed: it may be another one's by then.
/// </summary>
/// <param name="path">At most 107 bytes.</param>
internal sealed class UnixPath(string path) : EndPoint
{
    public string Path { get; } = path;

    public override AddressFamily AddressFamily => AddressFamily.Unix;

    public override SocketAddress Serialize() => new UnixDomainSocketEndPoint(Path).Serialize();

    /// <summary>The other side's, which has none.</summary>
    public override EndPoint Create(SocketAddress socketAddress) => this;

    public override string ToString() => Path;
}
