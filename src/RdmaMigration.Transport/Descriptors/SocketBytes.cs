using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>What lies in a connected socket, looked at without taking it.</summary>
internal static unsafe class SocketBytes
{
    /// <summary>Instead of a byte: there is none.</summary>
    public const int None = -1;

    /// <summary>The first byte, or <see cref="None"/>.</summary>
    public static int First(int socket)
    {
        byte first;
        return (nint)recv(socket, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? first : None;
    }
}
