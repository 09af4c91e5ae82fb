using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>Which sockets listen for an address.</summary>
internal static class SocketBinding
{
    /// <summary>Tries to find a port that is free at every address of a name, where any port will do.</summary>
    private const int PortTries = 10;

    /// <summary>
    /// Binds every address of the host, all at one port. An address that this host does not have is left out if there is another one. Without a host, and at
    /// [::], one socket takes both families.
    /// </summary>
    /// <exception cref="ConnectFailedException">None can be bound, or at one of them another program listens.</exception>
    public static IReadOnlyList<ListeningSocket> Bind(TcpUri uri, int backlog) => Bind(uri, uri.ResolveToListen(), backlog);

    /// <inheritdoc cref="Bind(TcpUri, int)"/>
    /// <param name="uri">Where.</param>
    /// <param name="addresses">Those of the host.</param>
    /// <param name="backlog">Of each socket.</param>
    public static IReadOnlyList<ListeningSocket> Bind(TcpUri uri, IReadOnlyList<IPEndPoint> addresses, int backlog)
    {
        (IPEndPoint? Address, SocketException? Error) failure = default;
        for (int i = 0; i < PortTries; i++)
        {
            (List<ListeningSocket> bound, failure) = TryBind(uri, addresses, backlog);
            if (bound.Count > 0 && failure.Error is null)
            {
                return bound;
            }

            Close(bound);
            if (uri.Port != 0 || bound.Count == 0)
            {
                break;
            }
        }

        throw new ConnectFailedException($"cannot listen on {uri}: {Explain(failure.Address!, failure.Error!)}", failure.Error);
    }

    /// <summary>Binds the path. A socket that nobody listens at any more is replaced.</summary>
    /// <exception cref="ConnectFailedException">It cannot be bound.</exception>
    public static ListeningSocket Bind(UnixUri uri, int backlog)
    {
        UnixPath path = new(uri.Path);
        ListeningSocket? bound = ListeningSocket.TryListen(path, isDual: false, backlog, out SocketException? error);
        if (error is { SocketErrorCode: SocketError.AddressAlreadyInUse } && IsAbandoned(uri))
        {
            try
            {
                File.Delete(uri.Path);
            }
            catch (Exception kept) when (kept is IOException or UnauthorizedAccessException)
            {
                throw new ConnectFailedException($"cannot listen on {uri}: the abandoned socket there could not be removed: {kept.Message}", kept);
            }

            bound = ListeningSocket.TryListen(path, isDual: false, backlog, out error);
        }

        return bound ?? throw new ConnectFailedException($"cannot listen on {uri}: {Explain(uri, error!)}", error);
    }

    /// <summary>Listens again where these did, which are closed.</summary>
    /// <exception cref="ConnectFailedException">
    /// Another program listens at one of the addresses by now, or a path cannot be removed. None is open then.
    /// </exception>
    public static void Reopen(IReadOnlyList<ListeningSocket> closed, int backlog)
    {
        List<ListeningSocket> opened = [];
        foreach (ListeningSocket one in closed)
        {
            try
            {
                one.Reopen(backlog);
                opened.Add(one);
            }
            catch (SocketException failed)
            {
                Close(opened);
                throw new ConnectFailedException(
                    one.Address is IPEndPoint address ? Explain(address, failed) : Explain(new UnixUri(((UnixPath)one.Address).Path), failed), failed);
            }
            catch
            {
                Close(opened);
                throw;
            }
        }
    }

    private static (List<ListeningSocket> Bound, (IPEndPoint? Address, SocketException? Error) Failure) TryBind(
        TcpUri uri, IReadOnlyList<IPEndPoint> addresses, int backlog)
    {
        List<ListeningSocket> bound = [];
        (IPEndPoint? Address, SocketException? Error) first = default;
        foreach (IPEndPoint address in addresses)
        {
            int port = bound.Count > 0 ? ((IPEndPoint)bound[0].Address).Port : address.Port;
            ListeningSocket? one = ListeningSocket.TryListen(
                new IPEndPoint(address.Address, port), uri.IsDual(address.Address), backlog, out SocketException? error);
            if (one is not null)
            {
                bound.Add(one);
                if (uri.Host.Length == 0)
                {
                    // It takes both families, or the host has one alone.
                    return (bound, default);
                }
            }
            else if (error!.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported)
            {
                first = first.Error is null ? (address, error) : first;
            }
            else if (uri.Host.Length > 0)
            {
                return (bound, (address, error));
            }
            else
            {
                first = first.Error is null ? (address, error) : first;
            }
        }

        return (bound, bound.Count > 0 ? default : first);
    }

    private static void Close(List<ListeningSocket> opened) => opened.ForEach(one => one.Close());

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

    private static string Explain(IPEndPoint address, SocketException error) => error.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => $"another program listens on {address}; stop that program, or choose another port",
        SocketError.AddressNotAvailable => $"{address.Address} is not an address of this host; 'ip address' lists them",
        SocketError.AccessDenied => $"port {address.Port} is for privileged users; choose one above 1023",
        _ => $"{address}: {error.Message}",
    };

    private static string Explain(UnixUri uri, SocketException error) => error.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => FileNode.Named(uri.Path) is { Kind: not FileKind.Socket }
            ? $"'{uri.Path}' exists and is not a socket; choose another path"
            : $"another program listens on '{uri.Path}'; stop that program, or choose another path",
        SocketError.AccessDenied => $"this user may not create '{uri.Path}'; choose another path",
        _ when !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(uri.Path))) => $"there is no directory for '{uri.Path}'; make it first",
        _ => $"'{uri.Path}': {error.Message}",
    };
}
