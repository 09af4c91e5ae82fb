using System.Net;
using System.Net.Sockets;
using System.Text;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>A bound socket that listens, TCP or UNIX domain. The path of the latter is removed with it, as long as it is still this socket's.</summary>
internal sealed unsafe class ListeningSocket
{
    private readonly bool _isDual;
    private readonly string? _path;
    private readonly FileNode? _node;

    private ListeningSocket(int number, EndPoint address, bool isDual, string? path)
    {
        _isDual = isDual;
        Number = number;
        Address = address;
        _path = path;
        _node = path is null ? null : FileNode.Named(path);
    }

    /// <summary>The descriptor; it does not block.</summary>
    public int Number { get; }

    /// <summary>Where it listens; the port is the one that was chosen when 0 was asked.</summary>
    public EndPoint Address { get; }

    /// <summary>Binds the first of the host's addresses that can be bound; without a host every address, of both families where the host has both.</summary>
    /// <exception cref="ConnectFailedException">None can be bound.</exception>
    public static ListeningSocket Bind(TcpUri uri, int backlog)
    {
        string? first = null;
        IEnumerable<IPEndPoint> addresses = uri.Host.Length == 0
            ? [new IPEndPoint(IPAddress.IPv6Any, uri.Port), new IPEndPoint(IPAddress.Any, uri.Port)]
            : uri.Resolve();
        bool isDual = uri.Host.Length == 0;
        foreach (IPEndPoint address in addresses)
        {
            (int number, int error) = TryListen(address, backlog, isDual);
            if (error == 0)
            {
                return new ListeningSocket(number, LocalAddress(number, address), isDual, path: null);
            }

            first ??= Explain(address, error);
        }

        throw new ConnectFailedException($"cannot listen on {uri}: {first}");
    }

    /// <summary>Binds the path. A socket that nobody listens at any more is replaced.</summary>
    /// <exception cref="ConnectFailedException">It cannot be bound.</exception>
    public static ListeningSocket Bind(UnixUri uri, int backlog)
    {
        UnixDomainSocketEndPoint address = new(uri.Path);
        (int number, int error) = TryListen(address, backlog, isDual: false);
        if (error == EADDRINUSE && IsAbandoned(uri))
        {
            (number, error) = Remove(uri.Path) is { } refused ? (-1, refused) : TryListen(address, backlog, isDual: false);
        }

        return error == 0
            ? new ListeningSocket(number, address, isDual: false, uri.Path)
            : throw new ConnectFailedException($"cannot listen on {uri}: {Explain(uri, error)}");
    }

    /// <summary>Listens again where this one did, which is closed.</summary>
    /// <exception cref="ConnectFailedException">Another program listens there by now.</exception>
    public ListeningSocket Reopen(int backlog)
    {
        if (_path is not null)
        {
            return Bind(new UnixUri(_path), backlog);
        }

        IPEndPoint address = (IPEndPoint)Address;
        (int number, int error) = TryListen(address, backlog, _isDual);
        return error == 0 ? new ListeningSocket(number, address, _isDual, path: null) : throw new ConnectFailedException(Explain(address, error));
    }

    /// <summary>Stops listening. Returns what could not be cleaned up, in words; null when nothing is left.</summary>
    public string? Close()
    {
        _ = close(Number);
        return _path is not null && FileNode.Named(_path) is { } node && node == _node && Remove(_path) is { } error
            ? $"the socket '{_path}' could not be removed: {ErrorText.Of(error)}"
            : null;
    }

    /// <summary>Returns the errno of a name that could not be removed.</summary>
    private static int? Remove(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return unlink(name) == 0 || errno == ENOENT ? null : errno;
        }
    }

    private static (int Number, int Error) TryListen(EndPoint address, int backlog, bool isDual)
    {
        bool isV6 = address.AddressFamily is AddressFamily.InterNetworkV6;
        int number = socket(SocketConnector.DomainOf(address.AddressFamily), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (number < 0)
        {
            return (-1, errno);
        }

        int one = 1;
        int only = isDual ? 0 : 1;
        SocketAddress native = address.Serialize();
        fixed (byte* first = native.Buffer.Span)
        {
            bool isListening = setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(int)) == 0
                && (!isV6 || setsockopt(number, SOL_IPV6, IPV6_V6ONLY, &only, sizeof(int)) == 0)
                && bind(number, (sockaddr*)first, native.Size) == 0
                && listen(number, backlog) == 0;
            int error = isListening ? 0 : errno;
            if (error != 0)
            {
                _ = close(number);
            }

            return (number, error);
        }
    }

    private static IPEndPoint LocalAddress(int number, IPEndPoint asked)
    {
        SocketAddress native = new(asked.AddressFamily, 128);
        socklen_t size = (uint)native.Size;
        fixed (byte* first = native.Buffer.Span)
        {
            _ = getsockname(number, (sockaddr*)first, &size);
        }

        native.Size = (int)(uint)size;
        return (IPEndPoint)asked.Create(native);
    }

    /// <summary>
    /// The path is a socket that no process has any more. A datagram socket cannot connect to one of streams, so whoever listens is not disturbed: the kernel
    /// refuses for the wrong type (EPROTOTYPE) while the other lives, and the connection (ECONNREFUSED) when it is gone.
    /// </summary>
    private static bool IsAbandoned(UnixUri uri)
    {
        using Socket probe = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(uri.Path));
            return false;
        }
        catch (SocketException refused)
        {
            return refused.SocketErrorCode is SocketError.ConnectionRefused && FileNode.Named(uri.Path) is { Kind: FileKind.Socket };
        }
    }

    private static string Explain(IPEndPoint address, int error) => error switch
    {
        _ when error == EADDRINUSE => $"another program listens at {address}; end it, or choose another port",
        _ when error == EADDRNOTAVAIL => $"{address.Address} is no address of this host; 'ip address' lists them",
        _ when error == EACCES => $"port {address.Port} is for privileged users; choose one above 1023",
        _ => $"{address}: {ErrorText.Of(error)}",
    };

    private static string Explain(UnixUri uri, int error) => error switch
    {
        _ when error == EADDRINUSE => FileNode.Named(uri.Path) is { Kind: not FileKind.Socket }
            ? $"'{uri.Path}' is there already and is no socket; choose another path"
            : $"'{uri.Path}' is there already and in use; end who listens at it, or choose another path",
        _ when error == ENOENT || error == ENOTDIR => $"there is no directory for '{uri.Path}'; make it first",
        _ when error == EACCES || error == EROFS => $"this user can make nothing at '{uri.Path}'; choose another path",
        _ => $"'{uri.Path}': {ErrorText.Of(error)}",
    };
}
