using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Transport.Tests;

/// <summary>Stands between a source and a destination, and sees what anybody on the network sees.</summary>
internal static class RecordingProxy
{
    /// <summary>Passes one connection on in both directions. Returns what the source sent.</summary>
    public static byte[] Forward(TcpListener from, IPEndPoint to)
    {
        using TcpClient source = from.AcceptTcpClient();
        using TcpClient destination = new("127.0.0.1", to.Port);
        Task back = destination.GetStream().CopyToAsync(source.GetStream());
        using MemoryStream seen = new();
        byte[] buffer = new byte[1 << 16];
        int count;
        while ((count = source.GetStream().Read(buffer)) > 0)
        {
            seen.Write(buffer, 0, count);
            destination.GetStream().Write(buffer, 0, count);
        }

        return seen.ToArray();
    }
}
