using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>Two RDMA devices, one of them without its node in /dev/infiniband, as in a container that was given one device.</summary>
[Trait("needs", "rdma")]
public sealed class HiddenDeviceTests : ReceiverTests
{
    [Fact]
    public async Task A_device_without_its_node_leaves_the_other_one_usable()
    {
        await using OwnDevice hidden = await OwnDevice.CreateAsync();
        string[] wrapper = Hide(hidden.Node);
        (int doctor, string report) = await ChildProcess.RunAsync(wrapper[0], [.. wrapper[1..], Executables.Rdmamig, "doctor", "--json"]);
        Measured(report);

        await using RdmamigProcess refused = RdmamigProcess.Start(OwnDevice.NextUri(), Work.File("refused"), wrapper: wrapper);
        Assert.Equal(3, await refused.Process.WaitForExitAsync(Deadlines.Start));
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(RdmaAddress.NextUri(), NewFolder("captures"), wrapper: wrapper);
        await NextMigrationWorksAsync(receiver);

        // The verdict is about this host, and one device works.
        Assert.Equal(0, doctor);
        Assert.Contains($"/dev/infiniband/{hidden.Node}", report, StringComparison.Ordinal);
    }

    /// <summary>Runs what follows where /dev/infiniband has no such node.</summary>
    private static string[] Hide(string node) =>
    [
        "unshare", "--mount", "/bin/sh", "-c",
        """
        node=$1
        shift
        nodes=$(mktemp -d) && mount -t tmpfs nodes "$nodes" && cp -a /dev/infiniband/. "$nodes" && rm "$nodes/$node" && mount --move "$nodes" /dev/infiniband \
          && exec "$@"
        """,
        "hide", node,
    ];
}
