namespace RdmaMigration.Verbs;

/// <summary>What a device can do. Counts are upper bounds per device unless they say otherwise.</summary>
public sealed record DeviceAttributes
{
    /// <summary>Version of the firmware; empty where there is none.</summary>
    public required string FirmwareVersion { get; init; }

    /// <summary>The device's GUID in host byte order.</summary>
    public required ulong NodeGuid { get; init; }

    /// <summary>The vendor's number.</summary>
    public required uint VendorId { get; init; }

    /// <summary>The vendor's number of the model.</summary>
    public required uint VendorPartId { get; init; }

    /// <summary>The hardware's version.</summary>
    public required uint HardwareVersion { get; init; }

    /// <summary>Largest memory region, in bytes.</summary>
    public required ulong MaxMemoryRegionSize { get; init; }

    /// <summary>Queue pairs.</summary>
    public required int MaxQueuePairs { get; init; }

    /// <summary>Outstanding work requests of one queue.</summary>
    public required int MaxWorkRequests { get; init; }

    /// <summary>Segments of one work request.</summary>
    public required int MaxSge { get; init; }

    /// <summary>Completion queues.</summary>
    public required int MaxCompletionQueues { get; init; }

    /// <summary>Entries of one completion queue.</summary>
    public required int MaxCompletionQueueEntries { get; init; }

    /// <summary>Memory regions.</summary>
    public required int MaxMemoryRegions { get; init; }

    /// <summary>Protection domains.</summary>
    public required int MaxProtectionDomains { get; init; }

    /// <summary>RDMA reads and atomics that one queue pair answers at a time: the bound of <see cref="ConnectionParameters.ResponderResources"/>.</summary>
    public required int MaxResponderResources { get; init; }

    /// <summary>RDMA reads and atomics that one queue pair has in flight: the bound of <see cref="ConnectionParameters.InitiatorDepth"/>.</summary>
    public required int MaxInitiatorDepth { get; init; }

    /// <summary>Number of ports; they are numbered from 1.</summary>
    public required byte PortCount { get; init; }
}

/// <summary>What a device can do with memory that is registered but not pinned (reliable connections).</summary>
/// <param name="IsSupported">Whether <see cref="MemoryAccess.OnDemand"/> may be used at all.</param>
/// <param name="IsImplicitSupported">Whether a region may cover the whole address space.</param>
/// <param name="Send">Whether such memory may be the source of a send.</param>
/// <param name="Receive">Whether such memory may be the target of a receive.</param>
/// <param name="Write">Whether such memory may be either end of an RDMA write.</param>
/// <param name="Read">Whether such memory may be either end of an RDMA read.</param>
public readonly record struct OnDemandPagingSupport(bool IsSupported, bool IsImplicitSupported, bool Send, bool Receive, bool Write, bool Read);

/// <summary>State of a port.</summary>
public enum PortState
{
    /// <summary>No state.</summary>
    Nop = 0,

    /// <summary>No link.</summary>
    Down = 1,

    /// <summary>Link up, waiting for the subnet manager.</summary>
    Initializing = 2,

    /// <summary>Armed by the subnet manager.</summary>
    Armed = 3,

    /// <summary>Usable.</summary>
    Active = 4,

    /// <summary>Usable, link lost for the moment.</summary>
    ActiveDeferred = 5,
}

/// <summary>What a port's link is.</summary>
public enum LinkLayer
{
    /// <summary>Not reported: InfiniBand on old devices.</summary>
    Unspecified = 0,

    /// <summary>InfiniBand.</summary>
    InfiniBand = 1,

    /// <summary>Ethernet: RoCE or iWARP.</summary>
    Ethernet = 2,
}

/// <summary>State and bounds of a port.</summary>
/// <param name="State">State of the port.</param>
/// <param name="LinkLayer">What the link is.</param>
/// <param name="MaxMtu">Largest payload of a packet, in bytes.</param>
/// <param name="ActiveMtu">Payload of a packet now, in bytes.</param>
/// <param name="MaxMessageSize">Largest message, in bytes.</param>
/// <param name="GidTableLength">Entries of the GID table, used or not.</param>
/// <param name="Lid">Local identifier (InfiniBand).</param>
public readonly record struct PortAttributes(
    PortState State, LinkLayer LinkLayer, int MaxMtu, int ActiveMtu, uint MaxMessageSize, int GidTableLength, ushort Lid);
