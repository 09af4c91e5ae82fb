using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Connects stream sockets, so that a cancel ends the wait.</summary>
internal static unsafe class SocketConnector
{
    /// <summary>Between two tries at a UNIX socket whose backlog is full: the kernel reports no event for it.</summary>
    private static readonly TimeSpan s_fullBacklog = TimeSpan.FromMilliseconds(20);

    /// <summary>Tries the addresses of the host in turn.</summary>
    /// <exception cref="ConnectFailedException">None takes the connection.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PolledDescriptor Connect(TcpUri uri, DescriptorChannelOptions options, CancellationToken cancel)
    {
        uri.ThrowIfNoDestination();
        return Connect(uri, uri.Resolve(cancel), options, cancel);
    }

    /// <summary>Tries the addresses in turn. Each has the whole time, so that one without an answer leaves some to the others.</summary>
    /// <exception cref="ConnectFailedException">None takes the connection.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PolledDescriptor Connect(TcpUri uri, IEnumerable<IPEndPoint> addresses, DescriptorChannelOptions options, CancellationToken cancel)
    {
        List<string> failures = [];
        foreach (IPEndPoint address in addresses)
        {
            PolledDescriptor socket = Create(address.AddressFamily, address.ToString());
            if (TryConnect(socket, address, options.ConnectTimeout, cancel) is not { } error)
            {
                TcpOptions.Apply(socket, options.KeepAliveInterval);
                return socket;
            }

            socket.Dispose();
            failures.Add(Explain(address, error, options));
        }

        throw new ConnectFailedException($"cannot connect to {uri}: {string.Join("; ", failures)}");
    }

    /// <summary>Connects to the path.</summary>
    /// <exception cref="ConnectFailedException">There is no socket, or nobody takes the connection.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PolledDescriptor Connect(UnixUri uri, DescriptorChannelOptions options, CancellationToken cancel)
    {
        PolledDescriptor socket = Create(AddressFamily.Unix, uri.ToString());
        if (TryConnect(socket, new UnixDomainSocketEndPoint(uri.Path), options.ConnectTimeout, cancel) is not { } error)
        {
            return socket;
        }

        socket.Dispose();
        throw new ConnectFailedException($"cannot connect to {uri}: {Explain(uri, error, options)}");
    }

    /// <summary>The kernel's number of an address family.</summary>
    public static int DomainOf(AddressFamily family) => family switch
    {
        AddressFamily.InterNetwork => AF_INET,
        AddressFamily.InterNetworkV6 => AF_INET6,
        AddressFamily.Unix => AF_UNIX,
        _ => throw new ArgumentOutOfRangeException(nameof(family), family, "no family of stream sockets"),
    };

    /// <returns>Null when connected, else the errno.</returns>
    private static int? TryConnect(PolledDescriptor socket, EndPoint address, TimeSpan timeout, CancellationToken cancel)
    {
        using CancellationTokenRegistration registration = cancel.Register(() => socket.Fail(ConnectionLoss.Shutdown, "cancelled"));
        long start = Stopwatch.GetTimestamp();
        try
        {
            int error = Begin(socket, address);
            while (error == EAGAIN)
            {
                if (Stopwatch.GetElapsedTime(start) >= timeout)
                {
                    return ETIMEDOUT;
                }

                socket.Pause(s_fullBacklog);
                error = Begin(socket, address);
            }

            return error == 0 ? null
                : error != EINPROGRESS ? error
                : socket.Wait(POLLOUT, timeout) ? ErrorOf(socket)
                : ETIMEDOUT;
        }
        catch (ConnectionLostException) when (cancel.IsCancellationRequested)
        {
            socket.Dispose();
            throw new OperationCanceledException(cancel);
        }
    }

    private static int Begin(PolledDescriptor socket, EndPoint address)
    {
        socket.ThrowIfLost();
        SocketAddress native = address.Serialize();
        fixed (byte* first = native.Buffer.Span)
        {
            return connect(socket.Number, (sockaddr*)first, native.Size) == 0 ? 0 : errno;
        }
    }

    private static int? ErrorOf(PolledDescriptor socket)
    {
        socket.ThrowIfLost();
        int error;
        socklen_t size = sizeof(int);
        _ = getsockopt(socket.Number, SOL_SOCKET, SO_ERROR, &error, &size);
        return error == 0 ? null : error;
    }

    private static PolledDescriptor Create(AddressFamily family, string peer)
    {
        int descriptor = socket(DomainOf(family), SOCK_STREAM | SOCK_CLOEXEC, 0);
        return descriptor >= 0
            ? new PolledDescriptor(new SafeFileHandle(descriptor, ownsHandle: true), peer)
            : throw new ConnectFailedException($"cannot connect to {peer}: no socket can be made: {ErrorText.Of(errno)}");
    }

    private static string Explain(IPEndPoint address, int error, DescriptorChannelOptions options) => error switch
    {
        _ when error == ECONNREFUSED => $"nothing listens at {address}; start the destination first, QEMU with -incoming tcp:{address}",
        _ when error == ETIMEDOUT => $"{address} does not answer within {options.ConnectTimeout.TotalSeconds:0.#} s; check the address, and firewalls on the way",
        _ when error == EHOSTUNREACH || error == ENETUNREACH => $"there is no way to {address} ({ErrorText.Of(error)}); check the address and this host's routes",
        _ => $"{address}: {ErrorText.Of(error)}",
    };

    private static string Explain(UnixUri uri, int error, DescriptorChannelOptions options) => error switch
    {
        _ when error == ENOENT => $"there is no socket '{uri.Path}'; start the destination first, QEMU with -incoming {uri}",
        _ when error == ECONNREFUSED => FileNode.At(uri.Path) is { Kind: not FileKind.Socket }
            ? $"'{uri.Path}' is no socket; name the one that the destination listens at, or write file:{uri.Path}"
            : $"nobody listens at '{uri.Path}' any more; start the destination again",
        _ when error == EPROTOTYPE => $"'{uri.Path}' is a socket of another kind, not one of streams; name the one that the destination listens at",
        _ when error == EACCES => $"this user may not write to '{uri.Path}'",
        _ when error == ETIMEDOUT => $"'{uri.Path}' took no connection within {options.ConnectTimeout.TotalSeconds:0.#} s; its backlog is full",
        _ => ErrorText.Of(error),
    };
}
