using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>Two hosts with soft-RoCE, joined by a wire that can be cut: 10.77.0.1 (a) receives, 10.77.0.2 (b) sends.</summary>
internal sealed class JoinedHosts(string wire)
{
    public const string Destination = "a";
    public const string Source = "b";
    public const string Uri = "rdma:10.77.0.1:4444";

    private readonly SoftRoceWire _wire = new(wire);

    /// <summary>Boots the receiving host. It runs rdmamig once the two hosts reach each other.</summary>
    public RdmamigProcess Receive(params string[] options) => RdmamigProcess.Start(Uri, "/tmp/", options, On(Destination));

    /// <summary>Boots the sending host, which starts a real QEMU and migrates it.</summary>
    public ChildProcess Migrate(int mebibytes, long bytesPerSecond, EventLog<string> output)
    {
        string[] command =
        [
            .. On(Source), Path.Combine(AppContext.BaseDirectory, "migrate-out"), Uri,
            mebibytes.ToString(CultureInfo.InvariantCulture), bytesPerSecond.ToString(CultureInfo.InvariantCulture),
        ];
        return ChildProcess.Start("host b", command[0], command[1..], output.Add);
    }

    /// <summary>
    /// Boots the sending host, which sends a capture with rdmamig each time that the file <paramref name="go"/> appears, with that file's lines as further
    /// options. An event EXIT follows each of them.
    /// </summary>
    public RdmamigProcess Send(string capture, string go, params string[] options) =>
        RdmamigProcess.Send(capture, Uri, options, [.. On(Source), Path.Combine(AppContext.BaseDirectory, "send-out"), go]);

    /// <summary>Pulls the plug of a host, or puts it in again: it sees its carrier go, the other one nothing but silence.</summary>
    public Task LinkAsync(bool up, string host = Source) => _wire.LinkAsync(up, host);

    private string[] On(string host) => _wire.Run(host, "--memory", "1536");
}
