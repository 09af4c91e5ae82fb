using System.Net.Sockets;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A relay between a source on a socket and destinations that a test has written. When it is disposed, nothing may be held any more.</summary>
internal sealed class RelayedMachine : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(20);

    private readonly NetworkStream _source;

    /// <param name="open">Opens the ways on.</param>
    /// <param name="rescue">It has a place to rescue machines to.</param>
    /// <param name="toFile">Machines are not relayed but saved.</param>
    /// <param name="to">The destination's address.</param>
    public RelayedMachine(Func<CancellationToken, OutgoingChannel> open, bool rescue = false, bool toFile = false, MigrationUri? to = null)
    {
        Relay = new RunningDestination(
            options => options with
            {
                Uri = new TcpUri("127.0.0.1", 0),
                Target = toFile ? options.Target : new RelayTarget(
                    new OutgoingOptions { Uri = to ?? new UnixUri("scripted") }, rescue ? options.Target as CaptureTarget : null),
            },
            connect: open);
        _source = Connect();
    }

    /// <summary>With a destination that is always the same.</summary>
    public RelayedMachine(ScriptedDestination destination, bool rescue = false) : this(_ => destination, rescue)
    {
    }

    public RunningDestination Relay { get; }

    /// <summary>A source that is done has heard everything.</summary>
    public bool SourceHasHeardSomething => _source.DataAvailable;

    /// <summary>The source sends something.</summary>
    public void Send(params byte[] bytes) => _source.Write(bytes);

    /// <summary>The source sends everything. Without a return path it closes its direction then, as QEMU closes.</summary>
    public void SendAll(bool returnPath = false)
    {
        _source.Write(StreamedMachine.All(returnPath));
        if (!returnPath)
        {
            CloseDirection();
        }
    }

    /// <summary>The source closes, as one that is killed or cancelled does.</summary>
    public void CloseSource() => _source.Dispose();

    /// <summary>The source closes its own direction, as `rdmamig send` does behind the last byte.</summary>
    public void CloseDirection() => _source.Socket.Shutdown(SocketShutdown.Send);

    /// <summary>What the source is told next; null when the relay has closed, which is a reset where it closed with bytes unread.</summary>
    public byte[]? Told()
    {
        byte[] message = new byte[8];
        try
        {
            return _source.ReadAtLeast(message, message.Length, throwOnEndOfStream: false) == message.Length ? message : null;
        }
        catch (IOException closed) when (closed.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return null;
        }
    }

    /// <summary>Waits for something.</summary>
    public static void Await(Func<bool> isSo, string what) => Assert.True(SpinWait.SpinUntil(isSo, s_soon), what);

    /// <summary>A further source connects, sends its machine and closes.</summary>
    public void SendAnother()
    {
        using NetworkStream other = Connect();
        other.Write(StreamedMachine.All());
    }

    /// <summary>A second source, whose machine must get through.</summary>
    public void NextOneWorks()
    {
        Relay.Settle();
        using NetworkStream next = Connect();
        next.Write(StreamedMachine.All());
        next.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, Relay.Ended().Status);
    }

    public void Dispose()
    {
        _source.Dispose();
        Relay.Dispose();
        Await(
            () => ProcessFootprint.Of(Environment.ProcessId) is { MigrationThreads: 0, RamMappings: 0 }, $"{ProcessFootprint.Of(Environment.ProcessId)}");
    }

    private NetworkStream Connect()
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)s_soon.TotalMilliseconds };
        socket.Connect(Relay.EndPoint);
        return new NetworkStream(socket, ownsSocket: true);
    }
}
