using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Two processes between which libvirt moves a machine: it talks to both, and makes their connection.</summary>
/// <param name="first">Has the machine.</param>
/// <param name="second">Was started with --incoming defer.</param>
internal sealed class LibvirtPair(ServeProcess first, ServeProcess second)
{
    /// <summary>Where the destination listens if a test does not say otherwise.</summary>
    public const string Anywhere = "tcp:127.0.0.1:0";

    /// <summary>A bandwidth with which a machine takes half a minute, in bytes a second.</summary>
    public const long Slow = 1 << 20;

    public LibvirtPlayer Source { get; } = LibvirtPlayer.From(first);

    public LibvirtPlayer Destination { get; } = LibvirtPlayer.From(second);

    /// <summary>Begins a migration that takes half a minute, and returns when both are active.</summary>
    public static async Task<LibvirtPair> BeginSlowlyAsync(ServeProcess first, ServeProcess second)
    {
        LibvirtPair pair = new(first, second);
        await pair.Destination.PlayAsync(LibvirtSequences.Begin, LibvirtSequences.Listens(Anywhere));
        await pair.Source.PlayAsync(LibvirtSequences.Prepares(Slow));
        await pair.PassConnectionAsync();
        await pair.Source.PlayAsync(LibvirtSequences.Migrates("fd:migrate"), LibvirtSequences.Sends);
        await second.Monitor.Events.FirstAsync(said => said.Status == "active", 0, Deadlines.Migration, "active");
        return pair;
    }

    /// <summary>libvirt connects to the destination, and passes the connection to the source.</summary>
    public async Task PassConnectionAsync(string uri = Anywhere)
    {
        bool isLocal = uri.StartsWith("unix:", StringComparison.Ordinal);
        using Socket connection = new(isLocal ? AddressFamily.Unix : AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Unspecified);
        await connection.ConnectAsync(isLocal ? new UnixDomainSocketEndPoint(uri["unix:".Length..]) : await AddressAsync());
        await first.Monitor.ExecuteAsync("getfd", new { fdname = "migrate" }, connection.SafeHandle);
    }

    /// <summary>libvirt ends a process that it needs no longer.</summary>
    public static async Task EndAsync(ServeProcess process, LibvirtPlayer player, int exitCode = 0)
    {
        await process.SignalAsync("TERM");
        await player.PlayAsync("* SHUTDOWN");
        Assert.Equal(exitCode, await process.Process.WaitForExitAsync(Deadlines.Answer));
    }

    private async Task<IPEndPoint> AddressAsync()
    {
        JsonElement address = (await second.Monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        return IPEndPoint.Parse($"127.0.0.1:{address.GetProperty("port").GetString()}");
    }
}
