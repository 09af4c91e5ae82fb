using Docker.DotNet.Models;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Images;

namespace RdmaMigration.Testcontainers;

/// <summary>
/// Makes RDMA hosts in containers. Each container boots a guest with a soft-RoCE device and runs one command in it. The guests of one network reach each
/// other over RDMA. The containers need no privilege, no device and no kernel module.
/// </summary>
/// <remarks>
/// A builder is immutable: each method returns another builder. The engine must have the image, because no registry has it. To use a registry of your own,
/// call <c>WithImagePullPolicy(PullPolicy.Missing)</c>.
/// </remarks>
public sealed class SoftRoceBuilder : ContainerBuilder<SoftRoceBuilder, SoftRoceContainer, SoftRoceConfiguration>
{
    /// <summary>Makes a builder of hosts with an image.</summary>
    /// <param name="image">The name of the image that <c>docker build -t NAME docker/softroce</c> made.</param>
    public SoftRoceBuilder(string image)
        : this(new SoftRoceConfiguration())
    {
        DockerResourceConfiguration = Init().WithImage(image).DockerResourceConfiguration;
    }

    /// <summary>Makes a builder of hosts with an image.</summary>
    /// <param name="image">The image.</param>
    public SoftRoceBuilder(IImage image)
        : this(new SoftRoceConfiguration())
    {
        DockerResourceConfiguration = Init().WithImage(image).DockerResourceConfiguration;
    }

    private SoftRoceBuilder(SoftRoceConfiguration resourceConfiguration)
        : base(resourceConfiguration)
    {
        DockerResourceConfiguration = resourceConfiguration;
    }

    /// <inheritdoc />
    protected override SoftRoceConfiguration DockerResourceConfiguration { get; }

    /// <summary>
    /// Sets which host of its network this is. The guest's addresses end with the number: 10.77.0.1 and fd77::1. Without this call the host is alone.
    /// </summary>
    /// <param name="host">The number of the host, from 1 to <paramref name="hosts"/>. Each host of a network has its own.</param>
    /// <param name="hosts">The number of hosts in the network, from 1 to 26. It is the same for all hosts of a network.</param>
    public SoftRoceBuilder WithHost(int host, int hosts)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hosts, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hosts, SoftRoceCommand.MostHosts);
        ArgumentOutOfRangeException.ThrowIfLessThan(host, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(host, hosts);
        return With(new SoftRoceConfiguration { Host = host, Hosts = hosts });
    }

    /// <summary>
    /// Sets the program that the guest runs. It starts when the guest reaches all other hosts. The guest ends with it, and the container with the guest.
    /// </summary>
    /// <param name="command">The program and its arguments; no shell is involved. The program is in the image or in a mount.</param>
    public SoftRoceBuilder WithGuestCommand(params string[] command)
    {
        ArgumentOutOfRangeException.ThrowIfZero(command.Length, nameof(command));
        return With(new SoftRoceConfiguration { GuestCommand = [.. command] });
    }

    /// <summary>Sets the memory of the guest, which takes it only as it uses it. Without this call it is 4096 MiB.</summary>
    /// <param name="mebibytes">The memory in MiB.</param>
    public SoftRoceBuilder WithGuestMemory(int mebibytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(mebibytes, 1);
        return With(new SoftRoceConfiguration { GuestMemory = mebibytes });
    }

    /// <summary>
    /// Limits the time of the command. After it the command ends with exit code 124. A container whose test was killed ends at this time too.
    /// </summary>
    /// <param name="timeout">The time, in whole seconds.</param>
    public SoftRoceBuilder WithGuestTimeout(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        return With(new SoftRoceConfiguration { GuestTimeout = timeout });
    }

    /// <summary>
    /// Limits the time until the guest is up and reaches all other hosts. Without this call it is 60 seconds with KVM and 240 seconds without. Raise it on a
    /// busy machine.
    /// </summary>
    /// <param name="timeout">The time, in whole seconds.</param>
    public SoftRoceBuilder WithBootTimeout(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        return With(new SoftRoceConfiguration { BootTimeout = timeout });
    }

    /// <summary>Sets a variable of the command. The container's own variables, <c>WithEnvironment</c>, do not reach the guest.</summary>
    /// <param name="name">The name of the variable.</param>
    /// <param name="value">The value of the variable.</param>
    public SoftRoceBuilder WithGuestEnvironment(string name, string value) =>
        With(new SoftRoceConfiguration { GuestEnvironment = new Dictionary<string, string> { [name] = value } });

    /// <inheritdoc />
    public override SoftRoceContainer Build()
    {
        Validate();
        SoftRoceBuilder complete = WithCommand(new OverwriteEnumerable<string>(SoftRoceCommand.Arguments(DockerResourceConfiguration)));
        if (DockerResourceConfiguration.Hosts > 1)
        {
            complete = complete.WithNetworkAliases(SoftRoceCommand.Alias(DockerResourceConfiguration.Host!.Value));
        }

        return new SoftRoceContainer(complete.DockerResourceConfiguration);
    }

    /// <inheritdoc />
    protected override SoftRoceBuilder Init() => base.Init()
        .WithImagePullPolicy(PullPolicy.Never)
        // A short command may have ended before the first look at the container, so the container need not run.
        .WithWaitStrategy(Wait.ForUnixContainer()
            .AddCustomWaitStrategy(new UntilCommandStarts(), strategy => strategy.WithMode(WaitStrategyMode.OneShot)));

    /// <inheritdoc />
    protected override void Validate()
    {
        base.Validate();
        if (DockerResourceConfiguration.GuestCommand is null)
        {
            throw new ArgumentException("The host has no command for its guest. Call WithGuestCommand.");
        }

        if (DockerResourceConfiguration.Hosts > 1 && !(DockerResourceConfiguration.Networks ?? []).Any())
        {
            throw new ArgumentException("The host has no network in which it could reach the other hosts. Call WithNetwork.");
        }
    }

    /// <inheritdoc />
    protected override SoftRoceBuilder Clone(IResourceConfiguration<CreateContainerParameters> resourceConfiguration) =>
        With(new SoftRoceConfiguration(resourceConfiguration));

    /// <inheritdoc />
    protected override SoftRoceBuilder Clone(IContainerConfiguration resourceConfiguration) => With(new SoftRoceConfiguration(resourceConfiguration));

    /// <inheritdoc />
    protected override SoftRoceBuilder Merge(SoftRoceConfiguration oldValue, SoftRoceConfiguration newValue) =>
        new(new SoftRoceConfiguration(oldValue, newValue));

    private SoftRoceBuilder With(SoftRoceConfiguration change) => Merge(DockerResourceConfiguration, change);
}
