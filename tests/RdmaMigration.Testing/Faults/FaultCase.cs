using System.Text.Json.Serialization;

namespace RdmaMigration.Testing;

/// <summary>A program at one end of a migration.</summary>
public enum MigrationProgram
{
    /// <summary>A stock QEMU.</summary>
    Qemu,

    /// <summary>rdmamig send, or rdmamig receive.</summary>
    Rdmamig,
}

/// <summary>What happens to a host, a program or the network.</summary>
public enum FaultKind
{
    /// <summary>The host is unplugged: its carrier is lost.</summary>
    Unplugged,

    /// <summary>`ip link set roce0 down`.</summary>
    LinkDown,

    /// <summary>The host freezes, and continues later.</summary>
    HostHung,

    /// <summary>The host loses its power, and boots again later.</summary>
    HostKilled,

    /// <summary>`rdma link delete`, and `rdma link add` later.</summary>
    DeviceRemoved,

    /// <summary>SIGKILL of a relay between source and destination.</summary>
    RelayKilled,

    /// <summary>The file system of the captures is smaller than the machine.</summary>
    DiskFull,

    /// <summary>The destination's memory cgroup leaves less than the machine needs.</summary>
    MemoryLimit,

    /// <summary>1 % of the packets are lost.</summary>
    Loss,

    /// <summary>Packets take 5 ± 2 ms and keep their order.</summary>
    Delay,

    /// <summary>Packets take 5 ms. 1 % of them skip the delay and overtake others.</summary>
    Reordering,

    /// <summary>1 % of the packets arrive twice.</summary>
    Duplication,

    /// <summary>The path MTU of RDMA is 1024.</summary>
    PathMtu,

    /// <summary>No fault: the connection uses IPv6.</summary>
    Ipv6,
}

/// <summary>When a fault begins.</summary>
public enum FaultPhase
{
    /// <summary>Before the source connects. It lasts until the end of the migration.</summary>
    Throughout,

    /// <summary>Before the source connects, so no connection reaches the destination.</summary>
    Connecting,

    /// <summary>After the destination has accepted the connection, before the RAM blocks are exchanged.</summary>
    Setup,

    /// <summary>After a part of RAM was sent.</summary>
    Ram,

    /// <summary>After RAM was sent, before device state was sent.</summary>
    Device,

    /// <summary>After everything was sent, before the source has the result.</summary>
    Result,
}

/// <summary>Where a fault happens.</summary>
public enum FaultSide
{
    /// <summary>At the source.</summary>
    Source,

    /// <summary>At the destination.</summary>
    Destination,

    /// <summary>On the way between them.</summary>
    Between,
}

/// <summary>One cell of the matrix.</summary>
/// <param name="Kind">What happens.</param>
/// <param name="Phase">When.</param>
/// <param name="Side">Where.</param>
/// <param name="From">The sending program.</param>
/// <param name="To">The receiving program.</param>
public sealed record FaultCase(FaultKind Kind, FaultPhase Phase, FaultSide Side, MigrationProgram From, MigrationProgram To)
{
    /// <summary>--keepalive-interval: the silence after which a side probes the other.</summary>
    public const int KeepAliveSeconds = 2;

    /// <summary>The transport's retries: rxe takes some 2 s for each of 5; the specification lets a device take four times the timeout.</summary>
    private const int RetrySeconds = 30;

    /// <summary>How long rdmamig waits for a device that stops retrying and says nothing, as rxe can when its link goes down.</summary>
    private const int SilentDeviceSeconds = 70;

    /// <summary>For programs that start after the fault, on emulated hosts.</summary>
    private const int StartSeconds = 60;

    /// <summary>Five times what a migration with 1 % loss needs on two busy cores without KVM.</summary>
    private const int BearableSeconds = 300;

    /// <summary>All cells, ordered by kind.</summary>
    public static IReadOnlyList<FaultCase> All { get; } = [.. Cells()];

    /// <summary>The migration succeeds nevertheless.</summary>
    [JsonIgnore]
    public bool IsBearable => Kind is FaultKind.Loss or FaultKind.Delay or FaultKind.Reordering or FaultKind.Duplication or FaultKind.PathMtu or FaultKind.Ipv6;

    /// <summary>The longest time from the fault to the report of each side that still runs. For a bearable fault: until both report success.</summary>
    [JsonIgnore]
    public TimeSpan Promised => TimeSpan.FromSeconds(this switch
    {
        { IsBearable: true } => BearableSeconds,
        { Phase: FaultPhase.Throughout or FaultPhase.Connecting } => StartSeconds + (2 * KeepAliveSeconds) + RetrySeconds,
        { Kind: FaultKind.LinkDown } => (2 * KeepAliveSeconds) + SilentDeviceSeconds,

        // The wire of the frozen guest takes no packets, so rxe waits for its NIC and counts no retries.
        { Kind: FaultKind.HostHung, Phase: FaultPhase.Ram, Side: FaultSide.Destination, To: MigrationProgram.Qemu } =>
            (2 * KeepAliveSeconds) + SilentDeviceSeconds,
        _ => (2 * KeepAliveSeconds) + RetrySeconds,
    });

    /// <summary>For people: `QEMU → rdmamig`.</summary>
    [JsonIgnore]
    public string Programs => $"{NameOf(From)} → {NameOf(To)}";

    /// <summary>Nothing reached the side, or its host was killed: it has nothing to report.</summary>
    internal bool HasNothingToReport(FaultSide side) => side == Side
        ? Kind is FaultKind.HostKilled || (side is FaultSide.Destination && Phase is FaultPhase.Connecting)
        : side is FaultSide.Destination && (Kind, Phase) is (FaultKind.RelayKilled, FaultPhase.Setup);

    public override string ToString() => $"{Kind}, {Phase}, {Side}, {Programs}";

    private static string NameOf(MigrationProgram program) => program is MigrationProgram.Qemu ? "QEMU" : "rdmamig";

    private static IEnumerable<FaultCase> Cells() =>
        from kind in Enum.GetValues<FaultKind>()
        from moment in MomentsOf(kind)
        from sender in SendersOf(kind)
        from receiver in ReceiversOf(kind)
        let cell = new FaultCase(kind, moment.Phase, moment.Side, sender, receiver)
        where cell.IsReachable && cell.IsNew
        select cell;

    /// <summary>QEMU 7.2 has no return path over RDMA: as a source it does not wait for the result.</summary>
    private bool IsReachable => Phase is not FaultPhase.Result || From is MigrationProgram.Rdmamig;

    /// <summary>
    /// A host that hangs or is killed shows how the other side reacts. A QEMU that reacts is run beside another QEMU only, but for RAM.
    /// </summary>
    private bool IsNew => Kind is not (FaultKind.HostHung or FaultKind.HostKilled) || Phase is FaultPhase.Ram
        || (Side is FaultSide.Source ? To : From) is MigrationProgram.Rdmamig || From == To;

    /// <summary>QEMU refuses IPv6 on RoCE.</summary>
    private static MigrationProgram[] SendersOf(FaultKind kind) =>
        kind is FaultKind.RelayKilled or FaultKind.MemoryLimit or FaultKind.Ipv6 ? [MigrationProgram.Rdmamig]
        : [MigrationProgram.Qemu, MigrationProgram.Rdmamig];

    /// <summary>A QEMU writes no file and has no relay, and it can keep a device until it ends.</summary>
    private static MigrationProgram[] ReceiversOf(FaultKind kind) => kind
        is FaultKind.RelayKilled or FaultKind.MemoryLimit or FaultKind.DiskFull or FaultKind.Ipv6 or FaultKind.DeviceRemoved
        ? [MigrationProgram.Rdmamig]
        : [MigrationProgram.Qemu, MigrationProgram.Rdmamig];

    private static IEnumerable<(FaultPhase Phase, FaultSide Side)> MomentsOf(FaultKind kind) => kind switch
    {
        // Unplugging either host silences both, so one is enough except in the longest phase.
        FaultKind.Unplugged =>
        [
            (FaultPhase.Connecting, FaultSide.Destination), (FaultPhase.Setup, FaultSide.Destination), (FaultPhase.Ram, FaultSide.Source),
            (FaultPhase.Ram, FaultSide.Destination), (FaultPhase.Device, FaultSide.Destination), (FaultPhase.Result, FaultSide.Destination),
        ],
        FaultKind.LinkDown or FaultKind.DeviceRemoved => [(FaultPhase.Ram, FaultSide.Source), (FaultPhase.Ram, FaultSide.Destination)],
        FaultKind.HostHung or FaultKind.HostKilled =>
        [
            (FaultPhase.Connecting, FaultSide.Destination),
            .. from phase in (FaultPhase[])[FaultPhase.Setup, FaultPhase.Ram, FaultPhase.Device, FaultPhase.Result]
               from side in (FaultSide[])[FaultSide.Source, FaultSide.Destination]
               select (phase, side),
        ],
        FaultKind.RelayKilled => [(FaultPhase.Setup, FaultSide.Between), (FaultPhase.Ram, FaultSide.Between), (FaultPhase.Result, FaultSide.Between)],
        FaultKind.DiskFull or FaultKind.MemoryLimit => [(FaultPhase.Throughout, FaultSide.Destination)],
        _ => [(FaultPhase.Throughout, FaultSide.Between)],
    };
}
