using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The image softroce: a container is an RDMA host, without a privilege and without a module of its host.</summary>
public sealed class ContainerTests
{
    [Fact]
    public async Task Every_two_of_three_containers_connect_over_RDMA()
    {
        // Each host serves one client and is the client of the next host, so that every two hosts connect.
        static string ServeAndPing(int own, int next) => $"""
            rping -s -a 10.77.0.{own} -C 1 & server=$!
            until rping -c -a 10.77.0.{next} -C 1 -v; do sleep 1; done
            wait $server
            """;
        await using ContainerHosts hosts = await ContainerHosts.StartAsync(ServeAndPing(1, 2), ServeAndPing(2, 3), ServeAndPing(3, 1));
        for (int host = 0; host < 3; host++)
        {
            (long code, string output, string error) = await hosts.EndAsync(host);
            Assert.True(code == 0, output + error);
            Assert.Contains("ping data: rdma-ping-0", output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task The_README_connects_two_containers()
    {
        string output = await ReadmeLines.RunAsync("softroce", "docker/softroce/README.md", Executables.RepositoryRoot, "lab", null, "host-a", "host-b");
        Assert.Contains("ping data: rdma-ping-2", output, StringComparison.Ordinal);
    }
}
