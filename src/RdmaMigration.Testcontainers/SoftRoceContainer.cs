using System.Globalization;
using System.Net;
using Docker.DotNet;
using Docker.DotNet.Models;
using DotNet.Testcontainers.Containers;

namespace RdmaMigration.Testcontainers;

/// <summary>
/// An RDMA host in a container. The container ends with the command of its guest. Faults of a host are methods: <see cref="KillAsync"/>,
/// <see cref="DisconnectAsync"/>, <see cref="SetLinkDownAsync"/>, and Testcontainers' <c>PauseAsync</c>. None of them closes a connection.
/// </summary>
public sealed class SoftRoceContainer : DockerContainer
{
    private readonly SoftRoceConfiguration _configuration;
    private readonly Lazy<DockerClient> _engine;

    /// <summary>The networks that <see cref="DisconnectAsync"/> left, with the container's address in each.</summary>
    private readonly Dictionary<string, string> _disconnected = [];

    private int _earlierStarts;

    /// <summary>Makes a container that does not exist in the engine until it is started.</summary>
    /// <param name="configuration">The configuration.</param>
    public SoftRoceContainer(SoftRoceConfiguration configuration)
        : base(configuration)
    {
        _configuration = configuration;
        _engine = new Lazy<DockerClient>(() => configuration.DockerEndpointAuthConfig.GetDockerClientBuilder(configuration.SessionId).Build());
    }

    /// <summary>The number of the host in its network.</summary>
    public int Host => _configuration.Host ?? 1;

    /// <summary>The IPv4 address of the guest's RDMA device. Only the other guests of the network reach it.</summary>
    public IPAddress GuestAddress => new([10, 77, 0, (byte)Host]);

    /// <summary>The IPv6 address of the guest's RDMA device. Only the other guests of the network reach it.</summary>
    public IPAddress GuestAddressV6 => IPAddress.Parse($"fd77::{Host.ToString(CultureInfo.InvariantCulture)}");

    /// <summary>
    /// Starts the container and waits until the guest is up, reaches all other hosts and starts its command. Start the hosts of a network together: each
    /// waits for all others. A container that has ended boots another guest, which runs the command from the start.
    /// </summary>
    /// <param name="ct">Cancels the wait.</param>
    /// <exception cref="ContainerNotRunningException">The guest did not start its command; the message has the reason.</exception>
    public override async Task StartAsync(CancellationToken ct = default)
    {
        // Testcontainers knows the state of its last look only. A container that still runs keeps its guest.
        if (Exists() && !await IsRunningAsync(ct).ConfigureAwait(false))
        {
            (_, string error) = await GetLogsAsync(timestampsEnabled: false, ct: ct).ConfigureAwait(false);
            _earlierStarts = SoftRoceCommand.CountStarts(error);
        }

        await base.StartAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Waits until the command has ended, and returns its exit code and output. The output is that of all starts of the container.</summary>
    /// <remarks>
    /// The exit code is 124 after the time limit of <see cref="SoftRoceBuilder.WithGuestTimeout"/>, 125 if the guest failed, and 137 if the container was
    /// killed. If the guest failed, standard error has the reason.
    /// </remarks>
    /// <param name="ct">Cancels the wait.</param>
    public async Task<ExecResult> GetResultAsync(CancellationToken ct = default)
    {
        long exitCode = await GetExitCodeAsync(ct).ConfigureAwait(false);
        (string output, string error) = await GetLogsAsync(timestampsEnabled: false, ct: ct).ConfigureAwait(false);
        return new ExecResult(output, SoftRoceCommand.WithoutStarts(error), exitCode);
    }

    /// <summary>Kills the container, as if the host lost its power. <see cref="StartAsync"/> starts it again.</summary>
    /// <param name="ct">Cancels the call.</param>
    public async Task KillAsync(CancellationToken ct = default)
    {
        await _engine.Value.Containers.KillContainerAsync(Id, new ContainerKillParameters(), ct).ConfigureAwait(false);

        // Nothing is left to stop. This updates the state that Testcontainers keeps.
        await StopAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Disconnects the container from all its networks. The guest keeps its link and sees only silence.</summary>
    /// <param name="ct">Cancels the call.</param>
    public async Task DisconnectAsync(CancellationToken ct = default)
    {
        foreach ((string network, string address) in await AddressesAsync(ct).ConfigureAwait(false))
        {
            NetworkDisconnectParameters parameters = new() { Container = Id };
            await _engine.Value.Networks.DisconnectNetworkAsync(network, parameters, ct).ConfigureAwait(false);
            _disconnected[network] = address;
        }
    }

    /// <summary>
    /// Connects the container to the networks from which <see cref="DisconnectAsync"/> disconnected it. A guest looks up the addresses of its peers once, so
    /// the container must get the address that it had. The engine gives the lowest free one: start no other container in the network meanwhile.
    /// </summary>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="InvalidOperationException">The engine gave the container another address.</exception>
    public async Task ReconnectAsync(CancellationToken ct = default)
    {
        Dictionary<string, string> before = new(_disconnected);
        foreach (string network in before.Keys)
        {
            NetworkConnectParameters parameters = new()
            {
                Container = Id,
                EndpointConfig = new EndpointSettings { Aliases = [.. _configuration.NetworkAliases] },
            };
            await _engine.Value.Networks.ConnectNetworkAsync(network, parameters, ct).ConfigureAwait(false);
            _disconnected.Remove(network);
        }

        Dictionary<string, string> now = await AddressesAsync(ct).ConfigureAwait(false);
        foreach ((string network, string address) in before)
        {
            string given = now.GetValueOrDefault(network, "none");
            if (given != address)
            {
                throw new InvalidOperationException(
                    $"The container had the address {address} in the network {network} and now has {given}, so the other guests do not reach it. " +
                    "Start no other container in the network while this one is disconnected.");
            }
        }
    }

    /// <summary>Unplugs the guest's network device. The guest loses its carrier, the other guests see only silence.</summary>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="ExecFailedException">No guest is up, or the host is alone.</exception>
    public Task SetLinkDownAsync(CancellationToken ct = default) => SetLinkAsync("off", ct);

    /// <summary>Connects the guest's network device again.</summary>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="ExecFailedException">No guest is up, or the host is alone.</exception>
    public Task SetLinkUpAsync(CancellationToken ct = default) => SetLinkAsync("on", ct);

    /// <summary>Whether the guest has started its command since the container was started.</summary>
    internal async Task<bool> HasStartedCommandAsync()
    {
        // In this order: the log of a container that has ended is complete.
        bool ended = State == TestcontainersStates.Exited;
        (string output, string error) = await GetLogsAsync(timestampsEnabled: false).ConfigureAwait(false);
        if (SoftRoceCommand.CountStarts(error) > _earlierStarts)
        {
            return true;
        }

        if (ended)
        {
            throw new ContainerNotRunningException(Id, output, error, await GetExitCodeAsync().ConfigureAwait(false), null!);
        }

        return false;
    }

    /// <inheritdoc />
    protected override async ValueTask DisposeAsyncCore()
    {
        await base.DisposeAsyncCore().ConfigureAwait(false);
        if (_engine.IsValueCreated)
        {
            _engine.Value.Dispose();
        }
    }

    private Task<ExecResult> SetLinkAsync(string state, CancellationToken ct) =>
        ExecAsync(["softroce", "link", state, SoftRoceCommand.Wire, SoftRoceCommand.Letter(Host)], ct).ThrowOnFailure();

    private async Task<bool> IsRunningAsync(CancellationToken ct)
    {
        ContainerInspectResponse found = await _engine.Value.Containers.InspectContainerAsync(Id, ct).ConfigureAwait(false);
        return found.State!.Running;
    }

    /// <summary>The container's address in each of its networks.</summary>
    private async Task<Dictionary<string, string>> AddressesAsync(CancellationToken ct)
    {
        ContainerInspectResponse found = await _engine.Value.Containers.InspectContainerAsync(Id, ct).ConfigureAwait(false);
        return found.NetworkSettings!.Networks!.ToDictionary(network => network.Key, network => $"{network.Value.IPAddress}");
    }
}
