using System.Net.Sockets;

namespace RdmaMigration.Transport;

/// <summary>What is set on every TCP connection of a migration.</summary>
internal static class TcpOptions
{
    /// <summary>Probes without an answer that end a connection.</summary>
    public const int Probes = 3;

    /// <summary>Sets them. A kernel that refuses one still carries the stream.</summary>
    /// <param name="socket">A connected TCP socket.</param>
    /// <param name="connected">The same one.</param>
    /// <param name="keepAlive">Silence before the first probe and between two; zero for none.</param>
    public static void Apply(Socket socket, PolledDescriptor connected, TimeSpan keepAlive)
    {
        // The last bytes of a stream, and a message on the return path, wait for nothing.
        Set(socket, SocketOptionLevel.Tcp, SocketOptionName.NoDelay, 1);
        if (keepAlive > TimeSpan.Zero)
        {
            int seconds = (int)Math.Max(1, Math.Ceiling(keepAlive.TotalSeconds));
            Set(socket, SocketOptionLevel.Socket, SocketOptionName.KeepAlive, 1);
            Set(socket, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, seconds);
            Set(socket, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, seconds);
            Set(socket, SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, Probes);
            connected.Vigil = new TcpVigil(socket, TimeSpan.FromSeconds(seconds));
        }
    }

    private static void Set(Socket socket, SocketOptionLevel level, SocketOptionName option, int value)
    {
        try
        {
            socket.SetSocketOption(level, option, value);
        }
        catch (SocketException)
        {
            // Not in this kernel, or the connection is gone, which shows at the first read.
        }
    }
}
