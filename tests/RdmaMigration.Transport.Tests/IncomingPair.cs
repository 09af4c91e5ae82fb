using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Tmds.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>A listener and the channels that it hands out.</summary>
internal sealed class Listening : IDisposable, ILogger
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly CompletionWaiter _waiter = new();
    private readonly BlockingCollection<IncomingChannel> _channels = [];

    /// <param name="uri">Where.</param>
    /// <param name="options">Limits.</param>
    /// <param name="accepted">Called with each channel, on the waiter's thread, before it is there to be taken.</param>
    public Listening(MigrationUri uri, ListenerOptions? options = null, Action<IncomingChannel>? accepted = null)
    {
        try
        {
            Listener = ChannelListener.Open(
                _waiter,
                uri,
                options ?? TestOptions.Listener,
                channel =>
                {
                    accepted?.Invoke(channel);
                    _channels.Add(channel);
                },
                this);
        }
        catch
        {
            _waiter.Dispose();
            throw;
        }
    }

    public ChannelListener Listener { get; }

    /// <summary>What was logged.</summary>
    public ConcurrentQueue<(LogLevel Level, string Text)> Logged { get; } = new();

    public IPEndPoint EndPoint => Listener.LocalEndPoint!;

    /// <summary>Channels that were handed out and not taken.</summary>
    public int Waiting => _channels.Count;

    /// <summary>Whether a channel is there to be taken, after a little while.</summary>
    public bool AwaitsOne() => SpinWait.SpinUntil(() => Waiting > 0, TimeSpan.FromMilliseconds(500));

    public IncomingChannel Accept() =>
        _channels.TryTake(out IncomingChannel? channel, s_patience) ? channel : throw new TimeoutException($"no channel at {Listener.Uri}");

    /// <summary>The channel of a source that has begun its stream, behind the bytes with which it did.</summary>
    public IncomingChannel AcceptBegun()
    {
        IncomingChannel channel = Accept();
        byte[] begun = new byte[IncomingPair.Begun.Length];
        Assert.Equal(begun.Length, channel.Input.Read(begun, s_patience));
        Assert.Equal(IncomingPair.Begun, begun);
        return channel;
    }

    /// <summary>Waits until something is logged.</summary>
    public void AwaitLog(LogLevel level, string part) => Assert.True(
        SpinWait.SpinUntil(() => Logged.Any(line => line.Level == level && line.Text.Contains(part, StringComparison.Ordinal)), s_patience),
        $"nothing at {level} has '{part}': {string.Join("; ", Logged)}");

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Logged.Enqueue((logLevel, $"{formatter(state, exception)} {exception}"));

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
            "file" => OverFile(Path.Combine(_directory.FullName, "fifo")),
            "fd-socket" => OverDescriptors(OutgoingPair.NewSocketPair(), FileAccess.ReadWrite),
            "fd-pipe" => OverPipe(OutgoingPair.NewPipe()),
            _ => throw new ArgumentException(kind),
        };
        Channel = kind is "tcp4" or "tcp6" or "unix" ? _listening.AcceptBegun() : _listening.Accept();
    }

    public IncomingChannel Channel { get; }

    public Stream Source { get; }

    /// <summary>The source of a socket sends no more, and still listens.</summary>
    public void CloseDirection()
    {
        nint socket = Source is FileStream file ? file.SafeFileHandle.DangerousGetHandle() : ((NetworkStream)Source).Socket.Handle;
        Assert.Equal(0, LibC.shutdown((int)socket, LibC.SHUT_WR));
    }

    /// <summary>The first bytes of a migration stream.</summary>
    public static byte[] Begun => "QEVM"u8.ToArray();

    /// <summary>A source that connects and begins its stream.</summary>
    public static Stream BeginTo(EndPoint address)
    {
        Stream source = ConnectTo(address);
        source.Write(Begun);
        return source;
    }

    public static Stream ConnectTo(EndPoint address)
    {
        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(address);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

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
        return (listening, BeginTo(listening.EndPoint));
    }

    private static (Listening Listening, Stream Source) OverUnix(string path) => (new(new UnixUri(path)), BeginTo(new UnixDomainSocketEndPoint(path)));

    private static (Listening Listening, Stream Source) OverCommand(string fifo)
    {
        OutgoingPair.MakeFifo(fifo);
        return (new(new ExecUri($"exec cat '{fifo}'")), new FileStream(fifo, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0));
    }

    /// <summary>A file that can block: a FIFO, which has ended where nobody writes to it.</summary>
    private static (Listening Listening, Stream Source) OverFile(string fifo)
    {
        OutgoingPair.MakeFifo(fifo);
        FileStream source = new(fifo, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        return (new(new FileUri(fifo)), source);
    }

    private static (Listening Listening, Stream Source) OverPipe((int Write, int Read) ends) => OverDescriptors((ends.Read, ends.Write), FileAccess.Write);

    private static (Listening Listening, Stream Source) OverDescriptors((int Ours, int Theirs) ends, FileAccess access) =>
        (new(new DescriptorUri(ends.Ours)), new FileStream(new SafeFileHandle(ends.Theirs, ownsHandle: true), access, bufferSize: 0));
}
