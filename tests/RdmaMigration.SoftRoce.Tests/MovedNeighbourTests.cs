using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// A router that fails over takes its MAC address along. Kernels since 6.0 then report UNREACHABLE for each connection, though its packets still arrive.
/// rping, which is not ours, gives up at the event, and so shows that it came.
/// </summary>
public sealed class MovedNeighbourTests
{
    /// <summary>RAM takes some eight seconds at 4 MiB/s.</summary>
    private const int Mebibytes = 32;

    [Fact]
    public async Task A_neighbour_whose_MAC_address_changes_amid_RAM_ends_no_migration()
    {
        using WorkDirectory work = new(Path.Combine(Executables.RepositoryRoot, ".artifacts"));
        string capture = work.File("capture");
        await SavedMachine.SaveAsync(capture, work.File("ram"), Mebibytes, seed: 20261127);

        using Rig pair = Rig.Start(
            "pair", "--memory", "1536", "--timeout", "240",
            $"rping -s -P -a 10.77.0.1 > /dev/null 2>&1 & '{Executables.Rdmamig}' receive rdma:10.77.0.1:4444 --to /tmp/arrived",
            $"'{Path.Combine(AppContext.BaseDirectory, "move-neighbour")}' '{Executables.Rdmamig}' '{capture}'");
        (int code, string output, string error) = await pair.End();

        Assert.Contains("RDMA_CM_EVENT_UNREACHABLE", output, StringComparison.Ordinal);
        Assert.Contains("b: sent", output, StringComparison.Ordinal);
        Assert.True(code == 0, output + error);
    }
}
