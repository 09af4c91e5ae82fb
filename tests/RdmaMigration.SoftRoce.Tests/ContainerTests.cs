using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The image softroce: a container is an RDMA host, without privileges and without a module of its host.</summary>
public sealed class ContainerTests
{
    /// <summary>Every two of the hosts reach each other, or none of their commands starts. One host then connects to both others over RDMA.</summary>
    [Fact]
    public async Task The_README_connects_three_containers_over_RDMA()
    {
        string output = await ReadmeLines.RunAsync(
            "softroce", "docker/softroce/README.md", Executables.RepositoryRoot, "lab", null, "host-a", "host-b", "host-c");

        string[] last = [.. output.Split('\n').Where(line => line.StartsWith("ping data: rdma-ping-2", StringComparison.Ordinal))];
        Assert.Equal(2, last.Length);
    }
}
