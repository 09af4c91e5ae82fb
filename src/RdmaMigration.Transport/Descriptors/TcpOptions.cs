using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>What is set on every TCP connection of a migration.</summary>
internal static unsafe class TcpOptions
{
    /// <summary>Probes without an answer that end a connection.</summary>
    public const int Probes = 3;

    /// <summary>Sets them. A kernel that refuses one still carries the stream.</summary>
    /// <param name="connected">A connected TCP socket.</param>
    /// <param name="keepAlive">Silence before the first probe and between two; zero for none.</param>
    public static void Apply(PolledDescriptor connected, TimeSpan keepAlive)
    {
        int socket = connected.Number;

        // The last bytes of a stream, and a message on the way back, wait for nothing.
        Set(socket, SOL_TCP, TCP_NODELAY, 1);
        if (keepAlive > TimeSpan.Zero)
        {
            int seconds = (int)Math.Max(1, Math.Ceiling(keepAlive.TotalSeconds));
            Set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
            Set(socket, SOL_TCP, TCP_KEEPIDLE, seconds);
            Set(socket, SOL_TCP, TCP_KEEPINTVL, seconds);
            Set(socket, SOL_TCP, TCP_KEEPCNT, Probes);
            connected.Vigil = new TcpVigil(socket, TimeSpan.FromSeconds(seconds));
        }
    }

    private static void Set(int socket, int level, int option, int value) => _ = setsockopt(socket, level, option, &value, sizeof(int));
}
