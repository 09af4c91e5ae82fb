using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>
/// Migrates in mode cpr-transfer of QEMU 10.0 and newer. The test takes the place of the new QEMU on the channel "cpr", which carries the descriptors of the
/// machine's memory. The main channel goes where the test wants it.
/// </summary>
internal static class CprTransfer
{
    /// <summary>How long the channel must be silent to count as read: its sender waits until the reader closes.</summary>
    private static readonly TimeSpan s_silence = TimeSpan.FromMilliseconds(500);

    /// <summary>Migrates and waits for the end, good or bad.</summary>
    /// <param name="source">The machine. Its memory is shared.</param>
    /// <param name="uri">Where the main channel goes: tcp: or rdma: with an IPv4 address.</param>
    /// <param name="socket">The path of the channel "cpr".</param>
    /// <returns>The source's last status.</returns>
    public static async Task<string> MigrateAsync(QemuMachine source, string uri, string socket)
    {
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        listener.Listen();
        await source.Monitor.ExecuteAsync("migrate-set-parameters", new { mode = "cpr-transfer" });
        int from = source.Monitor.Events.Count;
        Task<JsonElement> begun = source.Monitor.ExecuteAsync("migrate", new { channels = Channels(uri, socket) });
        using (Socket cpr = await listener.AcceptAsync())
        {
            await DrainAsync(cpr);
        }

        await begun;
        return (await source.MigrationEndAsync(from)).Status!;
    }

    private static async Task DrainAsync(Socket channel)
    {
        byte[] bytes = new byte[4096];
        int total = 0;
        while (true)
        {
            using CancellationTokenSource silent = new(total == 0 ? Deadlines.Answer : s_silence);
            try
            {
                int count = await channel.ReceiveAsync(bytes, silent.Token);
                if (count == 0)
                {
                    return;
                }

                total += count;
            }
            catch (OperationCanceledException) when (total > 0)
            {
                return;
            }
        }
    }

    private static object[] Channels(string uri, string socket)
    {
        string[] parts = uri.Split(':');
        object main = parts[0] == "rdma"
            ? new { transport = "rdma", host = parts[1], port = parts[2] }
            : new { transport = "socket", type = "inet", host = parts[1], port = parts[2] };
        return
        [
            new Dictionary<string, object> { ["channel-type"] = "main", ["addr"] = main },
            new Dictionary<string, object> { ["channel-type"] = "cpr", ["addr"] = new { transport = "socket", type = "unix", path = socket } },
        ];
    }
}
