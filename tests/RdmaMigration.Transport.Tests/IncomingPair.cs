using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>A listener and the channels that it hands out.</summary>
internal sealed class Listening : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly CompletionWaiter _waiter = new();
    private readonly BlockingCollection<IncomingChannel> _channels = [];

    public Listening(MigrationUri uri, ListenerOptions? options = null)
    {
        try
        {
            Listener = ChannelListener.Open(_waiter, uri, options ?? new ListenerOptions(), _channels.Add, NullLogger.Instance);
        }
        catch
        {
            _waiter.Dispose();
            throw;
        }
    }

    public ChannelListener Listener { get; }

    public IPEndPoint EndPoint => Listener.LocalEndPoint!;

    /// <summary>Channels that were handed out and not taken.</summary>
    public int Waiting => _channels.Count;

    public IncomingChannel Accept() =>
        _channels.TryTake(out IncomingChannel? channel, s_patience) ? channel : throw new TimeoutException($"no channel at {Listener.Uri}");

    public void Dispose()
    {
        Listener.Dispose();
        _waiter.Dispose();
        _channels.Dispose();
    }
}

/// <summary>An incoming channel of a kind, and the source's end of it as a stream. Real kernel objects on both sides.</summary>
internal sealed class IncomingPair : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
    private readonly Listening _listening;

    public IncomingPair(string kind)
    {
        (_listening, Source) = kind switch
        {
            "tcp4" => OverTcp("127.0.0.1"),
            "tcp6" => OverTcp("::1"),
            "unix" => OverUnix(Path.Combine(_directory.FullName, "socket")),
            "exec" => OverCommand(Path.Combine(_directory.FullName, "fifo")),
            "fd-socket" => OverDescriptors(OutgoingPair.NewSocketPair(), FileAccess.ReadWrite),
            "fd-pipe" => OverPipe(OutgoingPair.NewPipe()),
            _ => throw new ArgumentException(kind),
        };
        Channel = _listening.Accept();
    }

    public IncomingChannel Channel { get; }

    public Stream Source { get; }

    /// <summary>The source of a socket sends no more, and still listens.</summary>
    public void CloseDirection()
    {
        nint socket = Source is FileStream file ? file.SafeFileHandle.DangerousGetHandle() : ((NetworkStream)Source).Socket.Handle;
        Assert.Equal(0, LibC.shutdown((int)socket, LibC.SHUT_WR));
    }

    public static Stream ConnectTo(EndPoint address)
    {
        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(address);
        return new NetworkStream(socket, ownsSocket: true);
    }

    public void Dispose()
    {
        Source.Dispose();
        Channel.Dispose();
        _listening.Dispose();
        _directory.Delete(recursive: true);
    }

    private static (Listening Listening, Stream Source) OverTcp(string host)
    {
        Listening listening = new(new TcpUri(host, 0));
        return (listening, ConnectTo(listening.EndPoint));
    }

    private static (Listening Listening, Stream Source) OverUnix(string path) => (new(new UnixUri(path)), ConnectTo(new UnixDomainSocketEndPoint(path)));

    private static (Listening Listening, Stream Source) OverCommand(string fifo)
    {
        OutgoingPair.MakeFifo(fifo);
        return (new(new ExecUri($"exec cat '{fifo}'")), new FileStream(fifo, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0));
    }

    private static (Listening Listening, Stream Source) OverPipe((int Write, int Read) ends) => OverDescriptors((ends.Read, ends.Write), FileAccess.Write);

    private static (Listening Listening, Stream Source) OverDescriptors((int Ours, int Theirs) ends, FileAccess access) =>
        (new(new DescriptorUri(ends.Ours)), new FileStream(new SafeFileHandle(ends.Theirs, ownsHandle: true), access, bufferSize: 0));
}
