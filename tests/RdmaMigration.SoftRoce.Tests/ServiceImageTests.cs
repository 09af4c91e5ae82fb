using System.Text.Json;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>The image rdmamig, without RDMA: a container on this machine has no device.</summary>
public sealed class ServiceImageTests
{
    [Fact]
    public async Task The_README_moves_a_guest_between_two_containers()
    {
        string output = await ReadmeLines.RunAsync("rdmamig", "docker/service/README.md", "moves", "destination");

        QmpEvent[] events = [.. output.Split('\n').Where(line => line.StartsWith('{')).Select(line => QmpEvent.Parse(JsonDocument.Parse(line).RootElement))];
        Assert.Contains(events, e => e is { Name: "RESULT", Status: "completed" });
        QmpEvent[] verified = [.. events.Where(e => e.Name == "VERIFIED")];
        Assert.NotEmpty(verified);
        Assert.All(verified, e => Assert.Equal((true, 1), (e.Values.GetProperty("intact").GetBoolean(), e.Values.GetProperty("moves").GetInt32())));
    }
}
