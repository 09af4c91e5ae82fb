using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Win32.SafeHandles;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport.Tests;

/// <summary>An outgoing channel of a kind, and the destination's end of it as a stream. Real kernel objects on both sides.</summary>
internal sealed class OutgoingPair : IDisposable
{
    private static readonly DescriptorChannelOptions s_options = TestOptions.Descriptors;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public OutgoingPair(string kind)
    {
        (Channel, Destination) = kind switch
        {
            "tcp4" => OverTcp(IPAddress.Loopback),
            "tcp6" => OverTcp(IPAddress.IPv6Loopback),
            "unix" => OverUnix(Path.Combine(_directory.FullName, "socket")),
            "exec" => OverCommand(Path.Combine(_directory.FullName, "fifo")),
            "file" => OverFile(Path.Combine(_directory.FullName, "fifo")),
            "fd-socket" => OverDescriptors(NewSocketPair(), FileAccess.ReadWrite),
            "fd-pipe" => OverDescriptors(NewPipe(), FileAccess.Read),
            _ => throw new ArgumentException(kind),
        };
    }

    /// <summary>The kinds with a process or a host behind them.</summary>
    public static TheoryData<string> Live => ["tcp4", "tcp6", "unix", "exec", "file", "fd-socket", "fd-pipe"];

    /// <summary>The kinds with a way back.</summary>
    public static TheoryData<string> Sockets => ["tcp4", "tcp6", "unix", "fd-socket"];

    public OutgoingChannel Channel { get; }

    public Stream Destination { get; }

    public static OutgoingChannel Open(MigrationUri uri, CancellationToken cancel = default) => DescriptorOutgoingChannel.Open(uri, s_options, cancel);

    public static unsafe (int Ours, int Theirs) NewSocketPair()
    {
        int* two = stackalloc int[2];
        Assert.Equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two));
        return (two[0], two[1]);
    }

    public static unsafe (int Ours, int Theirs) NewPipe()
    {
        int* two = stackalloc int[2];
        Assert.Equal(0, pipe2(two, O_CLOEXEC));
        return (two[1], two[0]);
    }

    public static unsafe void MakeFifo(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            Assert.Equal(0, mkfifo(name, 0b110_000_000));
        }
    }

    public void Dispose()
    {
        Channel.Dispose();
        Destination.Dispose();
        _directory.Delete(recursive: true);
    }

    private static (OutgoingChannel Channel, Stream Destination) OverTcp(IPAddress address)
    {
        using TcpListener listener = new(address, 0);
        listener.Start();
        OutgoingChannel channel = Open(new TcpUri(address.ToString(), ((IPEndPoint)listener.LocalEndpoint).Port));
        return (channel, new NetworkStream(listener.AcceptSocket(), ownsSocket: true));
    }

    private static (OutgoingChannel Channel, Stream Destination) OverUnix(string path)
    {
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        OutgoingChannel channel = Open(new UnixUri(path));
        return (channel, new NetworkStream(listener.Accept(), ownsSocket: true));
    }

    private static (OutgoingChannel Channel, Stream Destination) OverCommand(string fifo)
    {
        MakeFifo(fifo);
        OutgoingChannel channel = Open(new ExecUri($"exec cat > '{fifo}'"));
        return (channel, new FileStream(fifo, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0));
    }

    /// <summary>A file that can block: a FIFO. It is opened for writing only when somebody reads it.</summary>
    private static (OutgoingChannel Channel, Stream Destination) OverFile(string fifo)
    {
        MakeFifo(fifo);
        using FileStream both = new(fifo, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
        OutgoingChannel channel = Open(new FileUri(fifo));
        return (channel, new FileStream(fifo, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0));
    }

    private static (OutgoingChannel Channel, Stream Destination) OverDescriptors((int Ours, int Theirs) ends, FileAccess access)
    {
        OutgoingChannel channel = Open(new DescriptorUri(ends.Ours));
        return (channel, new FileStream(new SafeFileHandle(ends.Theirs, ownsHandle: true), access, bufferSize: 0));
    }
}
