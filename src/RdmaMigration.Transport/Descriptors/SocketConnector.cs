using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Connects stream sockets, so that a cancel ends the wait.</summary>
internal static class SocketConnector
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
            (Socket socket, PolledDescriptor connection) = Create(address.AddressFamily, address.ToString());
            SocketError error = Try(socket, connection, address, options.ConnectTimeout, cancel);
            if (error is SocketError.Success)
            {
                TcpOptions.Apply(socket, connection, options.KeepAliveInterval);
                return connection;
            }

            connection.Dispose();
            failures.Add(Explain(address, error, options));
        }

        throw new ConnectFailedException($"cannot connect to {uri}: {string.Join("; ", failures)}");
    }

    /// <summary>Connects to the path.</summary>
    /// <exception cref="ConnectFailedException">There is no socket, or nobody takes the connection.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static PolledDescriptor Connect(UnixUri uri, DescriptorChannelOptions options, CancellationToken cancel)
    {
        UnixDomainSocketEndPoint address = new(uri.Path);
        Deadline deadline = Deadline.After(options.ConnectTimeout);
        while (true)
        {
            (Socket socket, PolledDescriptor connection) = Create(AddressFamily.Unix, uri.ToString());
            SocketError error = Try(socket, connection, address, options.ConnectTimeout, cancel);
            if (error is SocketError.Success)
            {
                return connection;
            }

            connection.Dispose();
            if (error is not SocketError.WouldBlock)
            {
                throw new ConnectFailedException($"cannot connect to {uri}: {Explain(uri, error, options)}");
            }

            // EAGAIN: the backlog is full.
            if (deadline.HasPassed)
            {
                throw new ConnectFailedException($"cannot connect to {uri}: {Explain(uri, SocketError.TimedOut, options)}");
            }

            cancel.WaitHandle.WaitOne(s_fullBacklog);
            cancel.ThrowIfCancellationRequested();
        }
    }

    private static SocketError Try(Socket socket, PolledDescriptor connection, EndPoint address, TimeSpan timeout, CancellationToken cancel)
    {
        using CancellationTokenRegistration registration = cancel.Register(() => connection.Fail(ConnectionLoss.Shutdown, "cancelled"));
        try
        {
            connection.ThrowIfLost();
            socket.Connect(address);
            return SocketError.Success;
        }
        catch (SocketException begun) when (begun.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress && address is IPEndPoint)
        {
            return WaitForAnswer(socket, connection, timeout, cancel);
        }
        catch (SocketException failed)
        {
            return failed.SocketErrorCode;
        }
        catch (ConnectionLostException) when (cancel.IsCancellationRequested)
        {
            connection.Dispose();
            throw new OperationCanceledException(cancel);
        }
    }

    private static SocketError WaitForAnswer(Socket socket, PolledDescriptor connection, TimeSpan timeout, CancellationToken cancel)
    {
        bool isAnswered = connection.Wait(PollEvents.Writable, timeout);
        if (cancel.IsCancellationRequested)
        {
            connection.Dispose();
            throw new OperationCanceledException(cancel);
        }

        return isAnswered ? (SocketError)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! : SocketError.TimedOut;
    }

    private static (Socket Socket, PolledDescriptor Connection) Create(AddressFamily family, string peer)
    {
        try
        {
            Socket socket = new(family, SocketType.Stream, family is AddressFamily.Unix ? ProtocolType.Unspecified : ProtocolType.Tcp) { Blocking = false };
            return (socket, new PolledDescriptor(socket, peer));
        }
        catch (SocketException none)
        {
            throw new ConnectFailedException($"cannot connect to {peer}: cannot create a socket: {none.Message}", none);
        }
    }

    private static string Explain(IPEndPoint address, SocketError error, DescriptorChannelOptions options) => error switch
    {
        SocketError.ConnectionRefused => $"nothing listens at {address}; start the destination first, QEMU with -incoming tcp:{address}",
        SocketError.TimedOut =>
            $"{address} does not answer within {options.ConnectTimeout.TotalSeconds:0.#} s; check the address, and firewalls on the way",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable =>
            $"there is no route to {address} ({Text(error)}); check the address and this host's routes",
        _ => $"{address}: {Text(error)}",
    };

    private static string Explain(UnixUri uri, SocketError error, DescriptorChannelOptions options) => error switch
    {
        _ when FileNode.At(uri.Path) is null => $"there is no socket '{uri.Path}'; start the destination first, QEMU with -incoming {uri}",
        SocketError.ConnectionRefused => FileNode.At(uri.Path) is { Kind: not FileKind.Socket }
            ? $"'{uri.Path}' is not a socket; name the destination's socket, or write file:{uri.Path}"
            : $"no program listens on '{uri.Path}' any more; restart the destination",
        SocketError.ProtocolType => $"'{uri.Path}' is not a stream socket; name the destination's socket",
        SocketError.AccessDenied => $"this user may not write to '{uri.Path}'",
        SocketError.TimedOut => $"'{uri.Path}' accepted no connection within {options.ConnectTimeout.TotalSeconds:0.#} s; its backlog is full",
        _ => Text(error),
    };

    private static string Text(SocketError error) => new SocketException((int)error).Message;
}
