using System.Net;
using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A source of the <see cref="StreamedMachine"/> at a UNIX socket, and a destination that does not read.</summary>
internal static class StreamedSource
{
    /// <summary>Connects and sends some bytes. The connection stays open.</summary>
    public static async Task<Socket> BeginAsync(string path, byte[] bytes)
    {
        Socket source = New();
        await source.ConnectAsync(new UnixDomainSocketEndPoint(path));
        await source.SendAsync(bytes);
        return source;
    }

    /// <summary>Connects to a destination, which has named its URI.</summary>
    public static async Task<Socket> ConnectAsync(string uri)
    {
        if (uri.StartsWith("unix:", StringComparison.Ordinal))
        {
            return await BeginAsync(uri["unix:".Length..], []);
        }

        Socket source = new(SocketType.Stream, ProtocolType.Tcp);
        await source.ConnectAsync(IPEndPoint.Parse(uri["tcp:".Length..]));
        return source;
    }

    /// <summary>Sends all, then closes.</summary>
    public static async Task SendAsync(string path, byte[] bytes)
    {
        using Socket source = await BeginAsync(path, bytes);
        source.Shutdown(SocketShutdown.Send);
    }

    /// <summary>The first half of the machine: RAM is under way.</summary>
    public static byte[] Half()
    {
        byte[] all = StreamedMachine.All();
        return all[..(all.Length / 2)];
    }

    /// <summary>Listens. The kernel accepts connections, and nobody reads them.</summary>
    public static Socket ListenSilently(string path)
    {
        Socket listener = New();
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        return listener;
    }

    private static Socket New() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
}
