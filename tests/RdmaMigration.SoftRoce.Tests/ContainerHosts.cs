using System.Diagnostics;
using System.Text.Json;
using Docker.DotNet;
using Docker.DotNet.Models;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Images;
using DotNet.Testcontainers.Networks;
using Microsoft.Extensions.Logging.Abstractions;
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
    private static readonly TimeSpan s_commandLimit = Deadlines.Scale(600);

    private static readonly TimeSpan s_pollInterval = TimeSpan.FromSeconds(0.3);

    private readonly INetwork _network;
    private readonly IContainer[] _containers;
    private readonly DockerClient _engine;

    private ContainerHosts(DockerClient engine, string[] scripts)
    {
        _engine = engine;
        _network = new NetworkBuilder()
            .WithLogger(NullLogger.Instance)
            .WithLabel(ResourceReaper.ResourceReaperSessionLabel, Session)
            .Build();
        _containers = [.. scripts.Select((script, host) => Build(host, scripts.Length, script))];
    }

    /// <summary>
    /// The reaper is an image that may be out of reach. Testcontainers removes a resource at dispose only if the resource belongs to a session, so the
    /// resources get the label of one.
    /// </summary>
    private static string Session => ResourceReaper.DefaultSessionId.ToString("D");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>Starts a container for each script, which runs in the guest's bash once all hosts reach each other.</summary>
    public static async Task<ContainerHosts> StartAsync(params string[] scripts)
    {
        TestcontainersSettings.ResourceReaperEnabled = false;
        ContainerHosts hosts = new(await DockerEngine.WithImageAsync(Image), scripts);
        try
        {
            await Task.WhenAll(hosts._containers.Select(container => container.StartAsync(Cancelled)));
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
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        deadline.CancelAfter(Deadlines.Scale(240));
        long code;
        try
        {
            code = await _containers[host].GetExitCodeAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!Cancelled.IsCancellationRequested)
        {
            throw await LateAsync(host, "end");
        }

        (string output, string error) = await OutputAsync(host);
        return (code, output, error);
    }

    /// <summary>The events that rdmamig has written on a host.</summary>
    public async Task<QmpEvent[]> EventsAsync(int host)
    {
        (string output, _) = await OutputAsync(host);

        // The last line may still be incomplete.
        return [.. output.Split('\n')[..^1].Where(line => line.StartsWith('{')).Select(line => QmpEvent.Parse(JsonDocument.Parse(line).RootElement))];
    }

    /// <summary>Waits for an event of a host, at or after its event number <paramref name="from"/>.</summary>
    public async Task<QmpEvent> EventAsync(int host, int from, Func<QmpEvent, bool> match, TimeSpan limit, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            if ((await EventsAsync(host)).Skip(from).FirstOrDefault(match) is { } found)
            {
                return found;
            }

            if (Stopwatch.GetElapsedTime(start) > limit)
            {
                throw await LateAsync(host, what);
            }

            await Task.Delay(s_pollInterval, Cancelled);
        }
    }

    /// <summary>Runs a program in the container, outside the guest.</summary>
    public async Task ExecuteAsync(int host, params string[] command)
    {
        ExecResult result = await _containers[host].ExecAsync(command, Cancelled);
        Assert.True(result.ExitCode == 0, result.Stdout + result.Stderr);
    }

    public Task PauseAsync(int host) => _containers[host].PauseAsync(Cancelled);

    public Task UnpauseAsync(int host) => _containers[host].UnpauseAsync(Cancelled);

    public Task KillAsync(int host) => _engine.Containers.KillContainerAsync(_containers[host].Id, new ContainerKillParameters(), Cancelled);

    /// <summary>Starts a container again that was killed. Its guest boots and runs the script from the start.</summary>
    public Task StartAgainAsync(int host) => _engine.Containers.StartContainerAsync(_containers[host].Id, new ContainerStartParameters(), Cancelled);

    public Task DisconnectAsync(int host) =>
        _engine.Networks.DisconnectNetworkAsync(_network.Name, new NetworkDisconnectParameters { Container = _containers[host].Id }, Cancelled);

    /// <summary>Connects a container again. The engine gives it the lowest free address, which is the one that it had.</summary>
    public Task ReconnectAsync(int host) =>
        _engine.Networks.ConnectNetworkAsync(_network.Name, new NetworkConnectParameters { Container = _containers[host].Id }, Cancelled);

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(_containers.Select(container => container.DisposeAsync().AsTask()));
        }
        finally
        {
            await _network.DisposeAsync();
            _engine.Dispose();
        }
    }

    private IContainer Build(int host, int count, string script)
    {
        IEnumerable<string> peers = Enumerable.Range(0, count).Where(other => other != host)
            .SelectMany(other => (string[])["--peer", $"{Letter(other)}=host-{Letter(other)}"]);
        string[] command =
        [
            "run", "--wire", "lab", "--host", Letter(host), .. peers, "--memory", "1024", "--timeout", $"{(int)s_commandLimit.TotalSeconds}",
            "--", "bash", "-ec", script,
        ];
        return new ContainerBuilder(Image)
            .WithLogger(NullLogger.Instance)
            .WithImagePullPolicy(PullPolicy.Never)
            .WithLabel(ResourceReaper.ResourceReaperSessionLabel, Session)
            .WithNetwork(_network)
            .WithNetworkAliases($"host-{Letter(host)}")
            .WithBindMount(Executables.Rdmamig, "/usr/local/bin/rdmamig", AccessMode.ReadOnly)
            .WithBindMount(Path.Combine(AppContext.BaseDirectory, "send-out"), "/usr/local/bin/send-out", AccessMode.ReadOnly)
            .WithCreateParameterModifier(parameters =>
            {
                parameters.HostConfig!.CapDrop = ["ALL"];
                parameters.HostConfig.SecurityOpt = ["no-new-privileges"];
            })
            .WithCommand(command)
            .Build();
    }

    private async Task<TimeoutException> LateAsync(int host, string what)
    {
        (string output, string error) = await OutputAsync(host);
        return new TimeoutException($"host {host}: no {what} in time; it wrote:\n{output}\n{error}");
    }

    private Task<(string Output, string Error)> OutputAsync(int host) => _containers[host].GetLogsAsync(timestampsEnabled: false, ct: Cancelled);

    private static string Letter(int host) => ((char)('a' + host)).ToString();
}
