using Docker.DotNet.Models;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;

namespace RdmaMigration.Testcontainers;

/// <summary>The settings of one host, which a <see cref="SoftRoceBuilder"/> collects. A setting that is null was not set.</summary>
public sealed class SoftRoceConfiguration : ContainerConfiguration
{
    /// <summary>Makes a configuration in which nothing is set.</summary>
    public SoftRoceConfiguration()
    {
    }

    /// <summary>Makes a configuration from that of a resource.</summary>
    /// <param name="resourceConfiguration">The configuration of the resource.</param>
    public SoftRoceConfiguration(IResourceConfiguration<CreateContainerParameters> resourceConfiguration)
        : base(resourceConfiguration)
    {
    }

    /// <summary>Makes a configuration from that of a container.</summary>
    /// <param name="resourceConfiguration">The configuration of the container.</param>
    public SoftRoceConfiguration(IContainerConfiguration resourceConfiguration)
        : base(resourceConfiguration)
    {
    }

    /// <summary>Combines two configurations.</summary>
    /// <param name="oldValue">The configuration so far.</param>
    /// <param name="newValue">The configuration whose values replace those of <paramref name="oldValue"/>.</param>
    public SoftRoceConfiguration(SoftRoceConfiguration oldValue, SoftRoceConfiguration newValue)
        : base(oldValue, newValue)
    {
        Host = newValue.Host ?? oldValue.Host;
        Hosts = newValue.Hosts ?? oldValue.Hosts;
        GuestCommand = newValue.GuestCommand ?? oldValue.GuestCommand;
        GuestMemory = newValue.GuestMemory ?? oldValue.GuestMemory;
        GuestTimeout = newValue.GuestTimeout ?? oldValue.GuestTimeout;
        BootTimeout = newValue.BootTimeout ?? oldValue.BootTimeout;
        GuestEnvironment = BuildConfiguration.Combine(oldValue.GuestEnvironment, newValue.GuestEnvironment);
    }

    /// <summary>The number of the host: 1 is 10.77.0.1.</summary>
    public int? Host { get; init; }

    /// <summary>The number of hosts in the network.</summary>
    public int? Hosts { get; init; }

    /// <summary>The program that the guest runs, and its arguments.</summary>
    public IReadOnlyList<string>? GuestCommand { get; init; }

    /// <summary>The memory of the guest in MiB.</summary>
    public int? GuestMemory { get; init; }

    /// <summary>The time limit of the command.</summary>
    public TimeSpan? GuestTimeout { get; init; }

    /// <summary>The time limit until the guest is up and reaches the other hosts.</summary>
    public TimeSpan? BootTimeout { get; init; }

    /// <summary>The variables of the command.</summary>
    public IReadOnlyDictionary<string, string>? GuestEnvironment { get; init; }
}
