using Docker.DotNet;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Images;
using DotNet.Testcontainers.Networks;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// Containers of the image softroce on a network of their own, without any privilege. Each boots a guest, and the guests reach each other: host 0 is
/// 10.77.0.1, host 1 is 10.77.0.2. Disposing removes the containers and the network.
/// </summary>
internal sealed class ContainerHosts : IAsyncDisposable
{
    private const string Image = "softroce";

    /// <summary>Ends a guest whose test was killed, so that its container does not run for ever.</summary>
    private const int CommandSeconds = 240;

    private readonly INetwork _network;
    private readonly IContainer[] _containers;

    private ContainerHosts(string[] scripts)
    {
        _network = new NetworkBuilder().WithLabel(ResourceReaper.ResourceReaperSessionLabel, Session).Build();
        _containers = [.. scripts.Select((script, host) => Build(host, scripts.Length, script))];
    }

    /// <summary>
    /// The reaper is an image that may be out of reach. Testcontainers removes a resource at dispose only if the resource belongs to a session, so the
    /// resources get the label of one.
    /// </summary>
    private static string Session => ResourceReaper.DefaultSessionId.ToString("D");

    /// <summary>Starts a container for each script, which runs in the guest's bash once all hosts reach each other.</summary>
    public static async Task<ContainerHosts> StartAsync(params string[] scripts)
    {
        TestcontainersSettings.ResourceReaperEnabled = false;
        if (await WhatIsMissingAsync() is string missing)
        {
            Assert.Skip(missing);
        }

        ContainerHosts hosts = new(scripts);
        try
        {
            await Task.WhenAll(hosts._containers.Select(container => container.StartAsync(TestContext.Current.CancellationToken)));
            return hosts;
        }
        catch
        {
            await hosts.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until the script of a host has ended.</summary>
    public async Task<(long Code, string Output, string Error)> EndAsync(int host)
    {
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Deadlines.Scale(2 * CommandSeconds));
        long code = await _containers[host].GetExitCodeAsync(deadline.Token);
        (string output, string error) = await _containers[host].GetLogsAsync(timestampsEnabled: false, ct: deadline.Token);
        return (code, output, error);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_containers.Select(container => container.DisposeAsync().AsTask()));
        await _network.DisposeAsync();
    }

    /// <summary>Null, or what this machine lacks and the commands that provide it.</summary>
    private static async Task<string?> WhatIsMissingAsync()
    {
        if (TestcontainersSettings.OS.DockerEndpointAuthConfig is not { } endpoint)
        {
            return "no Docker engine answers: apt-get install docker.io, start dockerd, then run ./build.sh image and ./build.sh test SoftRoce";
        }

        using DockerClient engine = endpoint.GetDockerClientBuilder().Build();
        try
        {
            await engine.Images.InspectImageAsync(Image, TestContext.Current.CancellationToken);
            return null;
        }
        catch (DockerImageNotFoundException)
        {
            return $"the Docker engine has no image {Image}: run ./build.sh image";
        }
    }

    private IContainer Build(int host, int count, string script)
    {
        IEnumerable<string> peers = Enumerable.Range(0, count).Where(other => other != host)
            .SelectMany(other => (string[])["--peer", $"{Letter(other)}=host-{Letter(other)}"]);
        return new ContainerBuilder(Image)
            .WithImagePullPolicy(PullPolicy.Never)
            .WithLabel(ResourceReaper.ResourceReaperSessionLabel, Session)
            .WithNetwork(_network)
            .WithNetworkAliases($"host-{Letter(host)}")
            .WithBindMount(Executables.Rdmamig, "/usr/local/bin/rdmamig", AccessMode.ReadOnly)
            .WithCreateParameterModifier(parameters =>
            {
                parameters.HostConfig.CapDrop = ["ALL"];
                parameters.HostConfig.SecurityOpt = ["no-new-privileges"];
            })
            .WithCommand(
            [
                "run", "--wire", "lab", "--host", Letter(host), .. peers, "--memory", "1024", "--timeout", $"{CommandSeconds}", "--", "bash", "-ec", script,
            ])
            .Build();
    }

    private static string Letter(int host) => ((char)('a' + host)).ToString();
}
