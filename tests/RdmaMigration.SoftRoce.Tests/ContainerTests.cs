using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The image softroce: a container is an RDMA host, without a privilege and without a module of its host.</summary>
public sealed class ContainerTests
{
    [Fact]
    public async Task A_guest_moves_between_two_containers_over_RDMA()
    {
        // rping's server starts when the guest can arrive, so its client waits for both.
        await using ContainerHosts hosts = await ContainerHosts.StartAsync(
            """
            rdmamig guest --ram 32M --incoming rdma:10.77.0.1:4444 --for 1 --json > /tmp/events & guest=$!
            trap 'cat /tmp/events' EXIT
            until grep -q LISTENING /tmp/events; do kill -0 $guest; sleep 0.2; done
            rping -s -a 10.77.0.1 -C 2
            wait $guest
            """,
            """
            until rping -c -a 10.77.0.1 -C 2 -v; do sleep 1; done
            rdmamig guest --ram 32M --dirty-rate 1M --migrate rdma:10.77.0.1:4444 --after 2 --json
            """);
        (long sourceCode, string sent, string sourceError) = await hosts.EndAsync(1);
        Assert.True(sourceCode == 0, sent + sourceError);
        Assert.Contains("ping data: rdma-ping-1", sent, StringComparison.Ordinal);
        Assert.Equal("completed", Assert.Single(Events(sent, "RESULT")).Status);

        (long code, string arrived, string error) = await hosts.EndAsync(0);
        Assert.True(code == 0, arrived + error);
        JsonElement[] verified = [.. Events(arrived, "VERIFIED").Select(e => e.Values)];
        Assert.NotEmpty(verified);
        Assert.All(verified, found => Assert.Equal(
            (true, 0, 1),
            (found.GetProperty("intact").GetBoolean(), found.GetProperty("lost-writes").GetInt32(), found.GetProperty("moves").GetInt32())));
    }

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

    private static IEnumerable<QmpEvent> Events(string output, string name) =>
        output.Split('\n').Where(line => line.StartsWith('{'))
            .Select(line => QmpEvent.Parse(JsonDocument.Parse(line).RootElement))
            .Where(e => e.Name == name);
}
