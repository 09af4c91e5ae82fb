using System.Diagnostics;
using System.Net;
using Docker.DotNet;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testcontainers;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>RdmaMigration.Testcontainers against the engine. <see cref="ContainerFaultTests"/> uses its other faults.</summary>
public sealed class SoftRoceContainerTests
{
    /// <summary>Reports whether host 1 is reached, whenever that changes. UDP loses a ping now and then, so a host counts as lost after five.</summary>
    private const string Watch = """
        reaches() { busybox ping -c "$1" -W 1 10.77.0.1 > /dev/null 2>&1; }
        until reaches 1; do sleep 0.5; done; echo reached
        while reaches 5; do sleep 0.5; done; echo lost
        until reaches 1; do sleep 0.5; done; echo reached again
        echo "$NOTE" >&2
        exit 3
        """;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private static NetworkBuilder Network => new NetworkBuilder().WithLogger(NullLogger.Instance).WithoutResourceReaper();

    private static SoftRoceBuilder Builder => new SoftRoceBuilder(ContainerHosts.Image)
        .WithLogger(NullLogger.Instance)
        .WithoutResourceReaper()
        .WithGuestMemory(1024)
        .WithGuestTimeout(TimeSpan.FromMinutes(5));

    [Fact]
    public async Task A_link_goes_down_and_up_and_the_result_is_that_of_the_command()
    {
        using DockerClient engine = await DockerEngine.WithImageAsync(ContainerHosts.Image);
        await using INetwork network = Network.Build();
        await using SoftRoceContainer other = Builder.WithNetwork(network).WithHost(1, hosts: 2).WithGuestCommand("sleep", "infinity").Build();
        await using SoftRoceContainer watching = Builder.WithNetwork(network).WithHost(2, hosts: 2)
            .WithGuestEnvironment("NOTE", "a note")
            .WithGuestCommand("bash", "-c", Watch)
            .Build();
        Assert.Equal((IPAddress.Parse("10.77.0.2"), IPAddress.Parse("fd77::2")), (watching.GuestAddress, watching.GuestAddressV6));

        await Task.WhenAll(other.StartAsync(Cancelled), watching.StartAsync(Cancelled));
        await OutputAsync(watching, "reached\n");
        await watching.SetLinkDownAsync(Cancelled);
        await OutputAsync(watching, "reached\nlost\n");
        await watching.SetLinkUpAsync(Cancelled);
        ExecResult result = await watching.GetResultAsync(Cancelled);

        Assert.Equal(new ExecResult("reached\nlost\nreached again\n", "a note\n", 3), result);
    }

    [Fact]
    public async Task Start_fails_with_the_reason_when_no_guest_comes_up()
    {
        using DockerClient engine = await DockerEngine.WithImageAsync(ContainerHosts.Image);
        await using INetwork network = Network.Build();
        await using SoftRoceContainer host = Builder.WithNetwork(network).WithGuestMemory(int.MaxValue).WithGuestCommand("true").Build();

        ContainerNotRunningException failure = await Assert.ThrowsAsync<ContainerNotRunningException>(() => host.StartAsync(Cancelled));

        Assert.Contains("MiB of available memory", failure.Message, StringComparison.Ordinal);
        Assert.Equal(125, (await host.GetResultAsync(Cancelled)).ExitCode);
    }

    [Fact]
    public async Task A_host_without_a_command_or_without_the_network_of_the_others_is_refused()
    {
        using DockerClient engine = await DockerEngine.WithImageAsync(ContainerHosts.Image);

        Assert.Throws<ArgumentException>(() => Builder.Build());
        Assert.Throws<ArgumentException>(() => Builder.WithHost(1, hosts: 2).WithGuestCommand("true").Build());
    }

    /// <summary>Waits until the command of a host has written this, and nothing else.</summary>
    private static async Task OutputAsync(SoftRoceContainer host, string expected)
    {
        TimeSpan limit = Deadlines.Scale(60);
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            (string output, string error) = await host.GetLogsAsync(timestampsEnabled: false, ct: Cancelled);
            if (output == expected)
            {
                return;
            }

            Assert.True(Stopwatch.GetElapsedTime(start) < limit, $"host {host.Host} wrote:\n{output}\n{error}");
            await Task.Delay(TimeSpan.FromSeconds(0.3), Cancelled);
        }
    }
}
