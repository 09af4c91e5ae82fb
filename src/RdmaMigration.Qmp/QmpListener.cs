using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Qmp;

/// <summary>
/// Accepts clients of this user and of root, and serves any number of them at a time up to <see cref="MaximumClients"/>. It never blocks the main loop.
/// </summary>
internal sealed class QmpListener : IAsyncDisposable
{
    /// <summary>
    /// Clients at a time. A client that does not read costs up to <see cref="QmpOutput.MaximumWaiting"/>, so a script that leaks connections must not exhaust
    /// memory and descriptors.
    /// </summary>
    public const int MaximumClients = 32;

    private const int SocketLevel = 1; // SOL_SOCKET
    private const int AcceptsConnections = 30; // SO_ACCEPTCONN

    private static readonly TimeSpan s_retry = TimeSpan.FromSeconds(1);

    private readonly QmpMonitor _monitor;
    private readonly ILogger _log;
    private readonly string _address;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<QmpSession, Task> _sessions = new();
    private Task _accepting = Task.CompletedTask;

    private QmpListener(QmpMonitor monitor, string address, ILogger log)
    {
        _monitor = monitor;
        _address = address;
        _log = log;
    }

    /// <summary>What stands before the number of an inherited socket.</summary>
    public const string DescriptorScheme = "fd:";

    /// <summary>The number of an inherited socket, <c>fd:N</c>; null for a path.</summary>
    /// <exception cref="FormatException">N is not a number of 0 or more.</exception>
    public static int? DescriptorOf(string address) => !address.StartsWith(DescriptorScheme, StringComparison.Ordinal) ? null
        : int.TryParse(address.AsSpan(DescriptorScheme.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number
        : throw new FormatException($"'{address}' names no descriptor; expected fd:N, as in fd:5, or a path");

    /// <summary>Serves clients at a path, or at a socket that this process inherited: <c>fd:N</c>.</summary>
    /// <exception cref="FormatException">N is not a number of 0 or more.</exception>
    /// <exception cref="MigrationException">There is no such socket, or the path cannot be listened at.</exception>
    public static QmpListener Open(string address, QmpMonitor monitor, ILogger log)
    {
        if (DescriptorOf(address) is not { } number)
        {
            return Listen(address, monitor, log);
        }

        // Commands of exec: addresses do not inherit it.
        _ = Descriptor.SetCloseOnExec(number);
        return Inherit(new SafeSocketHandle(number, ownsHandle: true), monitor, log);
    }

    /// <summary>Listens at a path.</summary>
    /// <exception cref="MigrationException">The path cannot be listened at.</exception>
    public static QmpListener Listen(string path, QmpMonitor monitor, ILogger log)
    {
        QmpListener listener = new(monitor, $"'{path}'", log);
        listener.StartAccepting(QmpSocketPath.Listen(path));
        return listener;
    }

    /// <summary>Serves a socket that this process inherited: one that listens, or one client that is connected.</summary>
    /// <param name="descriptor">The socket; the listener closes it.</param>
    /// <param name="monitor">Answers the requests.</param>
    /// <param name="log">The log.</param>
    /// <exception cref="MigrationException">It is not a socket that listens or is connected.</exception>
    public static QmpListener Inherit(SafeSocketHandle descriptor, QmpMonitor monitor, ILogger log)
    {
        string address = $"descriptor {descriptor.DangerousGetHandle()}";
        try
        {
            Socket socket = new(descriptor);
            QmpListener listener = new(monitor, address, log);
            Span<byte> isListening = stackalloc byte[sizeof(int)];
            socket.GetRawSocketOption(SocketLevel, AcceptsConnections, isListening);
            if (BitConverter.ToInt32(isListening) != 0)
            {
                listener.StartAccepting(socket);
            }
            else
            {
                // The process that passed the descriptor has chosen the client.
                listener.Serve(socket, address);
            }

            return listener;
        }
        catch (Exception failed) when (failed is SocketException or IOException)
        {
            descriptor.Dispose();
            throw new MigrationException(
                FailureReason.Unreachable, $"cannot serve QMP clients on {address}: it is not a socket that listens or is connected", failed);
        }
    }

    /// <summary>
    /// Stops: removes the socket's file, ends every session, and returns when none runs any more, after a second at most.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _accepting.ConfigureAwait(false);
        foreach (QmpSession session in _sessions.Keys)
        {
            session.Stop();
        }

        await Task.WhenAll(_sessions.Values).ConfigureAwait(false);
    }

    private void StartAccepting(Socket socket)
    {
        QmpLog.Listening(_log, _address);
        _accepting = AcceptAsync(socket);
    }

    private async Task AcceptAsync(Socket socket)
    {
        using (socket)
        {
            while (!_stop.IsCancellationRequested)
            {
                try
                {
                    Admit(await socket.AcceptAsync(_stop.Token).ConfigureAwait(false));
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                catch (Exception failed) when (failed is SocketException or IOException)
                {
                    QmpLog.NotAccepting(_log, _address, failed.Message);
                    await Task.Delay(s_retry, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
            }
        }
    }

    private void Admit(Socket client)
    {
        string peer = _address;
        if (client.AddressFamily is AddressFamily.Unix)
        {
            PeerCredentials credentials = PeerCredentials.Of(client);
            peer = credentials.ToString();
            uint owner = PeerCredentials.OwnerOf(client);
            if (!credentials.MayCommand(owner))
            {
                Refuse(client, peer, $"only root and user {owner} may connect");
                return;
            }
        }

        if (_sessions.Count >= MaximumClients)
        {
            Refuse(client, peer, $"{MaximumClients} clients are connected");
            return;
        }

        Serve(client, peer);
    }

    private void Refuse(Socket client, string peer, string reason)
    {
        QmpLog.Refused(_log, peer, reason);
        client.Dispose();
    }

    private void Serve(Socket client, string peer)
    {
        QmpSession session = new(_monitor, client, peer, _log);
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _sessions[session] = ended.Task;
        _ = Task.Run(async () =>
        {
            await _monitor.ServeAsync(session).ConfigureAwait(false);
            _sessions.TryRemove(session, out _);
            ended.SetResult();
        });
    }
}
