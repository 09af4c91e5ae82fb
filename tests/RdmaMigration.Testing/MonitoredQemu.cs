using System.Net.Sockets;

namespace RdmaMigration.Testing;

/// <summary>A QEMU whose second monitor is a socket for the program under test; the first stays the harness's.</summary>
public static class MonitoredQemu
{
    /// <summary>Options of a machine with a further QMP socket.</summary>
    public static QemuOptions WithSocket(this QemuOptions options, string path) =>
        options with { Extra = [.. options.Extra, "-qmp", $"unix:{path},server=on,wait=off"] };

    /// <summary>Options of a machine with several: each serves one client.</summary>
    public static QemuOptions WithSockets(this QemuOptions options, IEnumerable<string> paths) =>
        paths.Aggregate(options, (machine, path) => machine.WithSocket(path));

    /// <summary>A client that occupies a monitor.</summary>
    public static async Task<Socket> OccupyAsync(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        await socket.ReceiveAsync(new byte[1], SocketFlags.None);
        return socket;
    }
}
