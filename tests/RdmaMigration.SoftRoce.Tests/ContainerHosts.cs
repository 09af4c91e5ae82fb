using System.Diagnostics;
using System.Text.Json;
using Docker.DotNet;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testcontainers;
using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// Hosts of RdmaMigration.Testcontainers that run rdmamig, on a network of their own and without any privilege. Host 1 is 10.77.0.1. Disposing removes the
/// containers and the network.
/// </summary>
internal sealed class ContainerHosts : IAsyncDisposable
{
    public const string Image = "softroce";

    private const int GuestMebibytes = 1024;

    /// <summary>Ends a guest whose test was killed, so that its container does not run for ever.</summary>
    private static readonly TimeSpan s_guestTimeout = Deadlines.Scale(600);

    private static readonly TimeSpan s_pollInterval = TimeSpan.FromSeconds(0.3);

    private readonly INetwork _network = new NetworkBuilder().WithLogger(NullLogger.Instance).WithoutResourceReaper().Build();
    private readonly SoftRoceContainer[] _hosts;

    private ContainerHosts(Func<SoftRoceBuilder, SoftRoceBuilder> complete, string[] scripts) =>
        _hosts = [.. scripts.Select((script, index) => complete(Builder(index + 1, scripts.Length, script)).Build())];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public int Count => _hosts.Length;

    public SoftRoceContainer this[int host] => _hosts[host - 1];

    /// <summary>Starts a container for each script, which runs in the guest's bash once all hosts reach each other. Returns when all scripts run.</summary>
    public static Task<ContainerHosts> StartAsync(params string[] scripts) => StartAsync(builder => builder, scripts);

    /// <summary>As <see cref="StartAsync(string[])"/>, with more settings for each container.</summary>
    public static async Task<ContainerHosts> StartAsync(Func<SoftRoceBuilder, SoftRoceBuilder> complete, params string[] scripts)
    {
        using DockerClient engine = await DockerEngine.WithImageAsync(Image);
        ContainerHosts hosts = new(complete, scripts);
        try
        {
            await Task.WhenAll(hosts._hosts.Select(host => host.StartAsync(Cancelled)));
            return hosts;
        }
        catch
        {
            await hosts.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until the script of a host has ended.</summary>
    public async Task<ExecResult> EndAsync(int host)
    {
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        deadline.CancelAfter(Deadlines.Scale(240));
        try
        {
            return await this[host].GetResultAsync(deadline.Token);
        }
        catch (OperationCanceledException) when (!Cancelled.IsCancellationRequested)
        {
            throw await LateAsync(host, "end");
        }
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
    public Task ExecuteAsync(int host, params string[] command) => this[host].ExecAsync(command, Cancelled).ThrowOnFailure();

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(_hosts.Select(host => host.DisposeAsync().AsTask()));
        }
        finally
        {
            await _network.DisposeAsync();
        }
    }

    private SoftRoceBuilder Builder(int host, int count, string script) => new SoftRoceBuilder(Image)
        .WithLogger(NullLogger.Instance)
        .WithoutResourceReaper()
        .WithNetwork(_network)
        .WithHost(host, count)
        .WithGuestMemory(GuestMebibytes)
        .WithGuestTimeout(s_guestTimeout)
        .WithBindMount(Executables.Rdmamig, "/usr/local/bin/rdmamig", AccessMode.ReadOnly)
        .WithBindMount(Path.Combine(AppContext.BaseDirectory, "send-out"), "/usr/local/bin/send-out", AccessMode.ReadOnly)
        .WithCreateParameterModifier(parameters =>
        {
            parameters.HostConfig!.CapDrop = ["ALL"];
            parameters.HostConfig.SecurityOpt = ["no-new-privileges"];
        })
        .WithGuestCommand("bash", "-ec", script);

    private async Task<TimeoutException> LateAsync(int host, string what)
    {
        (string output, string error) = await OutputAsync(host);
        return new TimeoutException($"host {host}: no {what} in time; it wrote:\n{output}\n{error}");
    }

    private Task<(string Output, string Error)> OutputAsync(int host) => this[host].GetLogsAsync(timestampsEnabled: false, ct: Cancelled);
}
