using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>What <c>switchover-ack</c> does.</summary>
internal enum SwitchoverAck
{
    /// <summary>The machine type in the stream decides.</summary>
    Auto,

    /// <summary>Every source with a return path gets an acknowledgement at once.</summary>
    Always,

    /// <summary>No source gets one.</summary>
    Never,
}

/// <summary>
/// The table of parameters and capabilities. Command line, help, checks and reports are made from it; nothing else states a default or a range.
/// The order is that of help.
/// </summary>
internal static class MigrationParameters
{
    private const ulong KiB = 1 << 10;
    private const ulong MiB = 1 << 20;

    /// <summary>Capability rdma-pin-all.</summary>
    public static Parameter<bool> PinAll { get; } = new(new SwitchKind(), false)
    {
        Name = "rdma-pin-all",
        Option = "--pin-all",
        IsCapability = true,
        Side = MigrationSide.Outgoing,
        Scope = ParameterScope.Rdma,
        Surface = ParameterSurface.Everywhere,
        Help = "RDMA: ask the destination to register all RAM before the first page",
        Reason = "with dynamic registration the destination locks only the memory that is used, and large windows are as fast",
    };

    /// <summary>Capability return-path.</summary>
    public static Parameter<bool> ReturnPath { get; } = new(new SwitchKind(), false)
    {
        Name = "return-path",
        IsCapability = true,
        Side = MigrationSide.Outgoing,
        Scope = ParameterScope.Rdma,
        Surface = ParameterSurface.Everywhere,
        Help = "RDMA: open a second connection on which the destination reports success or failure. The destination must expect it: rdmamig does; QEMU 8.0 and "
            + "later with return-path on; QEMU 7.2 with postcopy-ram on. Over tcp: and unix: rdmamig always uses one",
        Reason = "a destination that does not expect the second connection fails the migration",
    };

    /// <summary>Digests of RAM are sent, which the destination compares.</summary>
    public static Parameter<bool> Verify { get; } = new(new SwitchKind(), false)
    {
        Name = "verify",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Everywhere,
        Help = "Send an XXH128 digest of each RAM block, which the destination compares once RAM is complete. The destination must be rdmamig: a QEMU refuses "
            + "the stream",
        Reason = "both sides read all of RAM once more, and TCP's checksum, RDMA's CRC and TLS already find most errors",
    };

    /// <summary>How a source with capability switchover-ack is answered.</summary>
    public static Parameter<SwitchoverAck> SwitchoverAck { get; } = new(new ChoiceKind<SwitchoverAck>(), Engine.SwitchoverAck.Auto)
    {
        Name = "switchover-ack",
        Side = MigrationSide.Incoming,
        Surface = ParameterSurface.Everywhere,
        Help = "When to acknowledge the switchover to a source with capability switchover-ack; auto decides by the machine type. Set it for a source that "
            + "never switches over with auto",
        Reason = "QEMU changed the rule with machine type 11.1, and only the machine type in the stream shows which rule the source follows",
    };

    /// <summary>RDMA: the memory that one request for a key covers.</summary>
    public static Parameter<ulong> Window { get; } = new(new SizeKind(least: MiB, multipleOf: MiB), 64 * MiB)
    {
        Name = "window",
        Side = MigrationSide.Outgoing,
        Scope = ParameterScope.Rdma,
        Surface = ParameterSurface.Everywhere,
        Help = "RDMA: the most memory that one registration request covers; a multiple of 1 MiB",
        Reason =
            "QEMU registers 1 MiB per request and waits one round trip each; with 64 MiB the round trips are negligible, and few windows are locked at a time",
    };

    /// <summary>The most bytes a second that are sent.</summary>
    public static Parameter<ulong?> MaxBandwidth { get; } = new(new OptionalKind<ulong>(new SizeKind(least: KiB), "no limit"), null)
    {
        Name = "max-bandwidth",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Everywhere,
        Help = "Bandwidth limit in bytes per second; binary units",
        Reason = "QEMU's default of 128 MiB/s protects the network of a running guest; a capture has no running guest",
    };

    /// <summary>The longest time that a machine may stand still at the switchover.</summary>
    public static Parameter<TimeSpan> DowntimeLimit { get; } = new(new MillisecondsKind(), TimeSpan.FromMilliseconds(300))
    {
        Name = "downtime-limit",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "Stop a running machine once the rest of its RAM can be sent in four fifths of this time, in milliseconds. 0: never, so the "
            + "migration does not complete",
        Reason = "QEMU's default",
    };

    /// <summary>Capability pause-before-switchover.</summary>
    public static Parameter<bool> PauseBeforeSwitchover { get; } = new(new SwitchKind(), false)
    {
        Name = "pause-before-switchover",
        IsCapability = true,
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "Wait for migrate-continue after the machine is stopped, before its device state is saved",
        Reason = "the machine is stopped while it waits",
    };

    /// <summary>Capability auto-converge.</summary>
    public static Parameter<bool> AutoConverge { get; } = new(new SwitchKind(), false)
    {
        Name = "auto-converge",
        IsCapability = true,
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "Slow the machine's writers while they write faster than the channel takes pages",
        Reason = "QEMU's default; a slowed program serves its users more slowly",
    };

    /// <summary>How fast a machine must write for auto-converge to slow it.</summary>
    public static Parameter<int> ThrottleTriggerThreshold { get; } = new(new CountKind(1, 100), 50)
    {
        Name = "throttle-trigger-threshold",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "auto-converge: slow the writers once they write more than this percentage of what is sent in the same time",
        Reason = "QEMU's default",
    };

    /// <summary>By how much auto-converge slows a machine first.</summary>
    public static Parameter<int> CpuThrottleInitial { get; } = new(new CountKind(1, 99), 20)
    {
        Name = "cpu-throttle-initial",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "auto-converge: the first slowdown, as the percentage of time in which the machine's writers do not run",
        Reason = "QEMU's default",
    };

    /// <summary>By how much more auto-converge slows a machine each time.</summary>
    public static Parameter<int> CpuThrottleIncrement { get; } = new(new CountKind(1, 99), 10)
    {
        Name = "cpu-throttle-increment",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "auto-converge: percentage points that each further step adds to the slowdown",
        Reason = "QEMU's default",
    };

    /// <summary>The most by which auto-converge slows a machine.</summary>
    public static Parameter<int> MaxCpuThrottle { get; } = new(new CountKind(1, 99), 99)
    {
        Name = "max-cpu-throttle",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Qmp,
        Help = "auto-converge: the greatest slowdown, in percent",
        Reason = "QEMU's default",
    };

    /// <summary>Sizes of a machine's RAM. Microcontroller boards have less than 1 MiB.</summary>
    public static SizeKind RamSize { get; } = new(least: 64 * KiB);

    /// <summary>The most RAM that a machine may take on this host.</summary>
    public static Parameter<ulong?> MaxRam { get; } = new(new OptionalKind<ulong>(RamSize, "the available RAM of this host"), null)
    {
        Name = "max-ram",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Everywhere,
        Help = "The most RAM that a machine may take on this host; binary units",
        Reason = "a source can announce any size, and to allocate more than the available RAM invokes the out-of-memory killer",
    };

    /// <summary>The most device state that is taken.</summary>
    public static Parameter<ulong> MaxDeviceState { get; } = new(new SizeKind(least: MiB), 1024 * MiB)
    {
        Name = "max-device-state",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Everywhere,
        Help = "The most device state that a machine may have; binary units. State above 64 MiB goes to a temporary file in TMPDIR",
        Reason = "ordinary machines have less than 1 MiB; a large framebuffer has hundreds of MiB, and a passed-through GPU may have more than 1 GiB",
    };

    /// <summary>The device state that stays in memory.</summary>
    public static Parameter<ulong> DeviceStateInMemory { get; } = new(new SizeKind(least: MiB, most: 1024 * MiB), 64 * MiB)
    {
        Name = "device-state-in-memory",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Program,
        Help = "The most device state that stays in memory; the rest goes to a temporary file in TMPDIR",
        Reason = "the state of machines without large device memory stays in memory",
    };

    /// <summary>The size of a target page when the stream does not state it.</summary>
    public static Parameter<ulong> PageSize { get; } = new(new SizeKind(least: 256, most: 64 * KiB, isPowerOfTwo: true), 4 * KiB)
    {
        Name = "page-size",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Everywhere,
        Help = "The guest's page size, for a stream that does not state it. If it does not fit, rdmamig tries others. A power of two",
        Reason = "right for x86, ppc64, s390x and riscv; Arm streams contain their page size; rdmamig detects the smaller pages of microcontroller boards",
    };

    /// <summary>The longest time for one migration.</summary>
    public static Parameter<TimeSpan?> Timeout { get; } = new(new OptionalKind<TimeSpan>(new DurationKind(), "no limit"), null)
    {
        Name = "timeout",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Everywhere,
        Help = "The longest time that one migration may take, from its connection on",
        Reason = "a source may dirty memory for hours and still finish",
    };

    /// <summary>The longest wait for the first bytes of a stream.</summary>
    public static Parameter<TimeSpan> SetupTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(30))
    {
        Name = "setup-timeout",
        Side = MigrationSide.Incoming,
        Surface = ParameterSurface.Program,
        Help = "The longest wait for the beginning of a source's stream after it connects. Over RDMA this also limits the wait for each message while "
            + "RAM blocks are exchanged; --pin-all adds 4 s for each GiB of RAM. No effect for files, commands and descriptors",
        Reason = "QEMU begins within 6 s, return path included",
    };

    /// <summary>The longest silence of a source that has sent a whole machine and should close.</summary>
    public static Parameter<TimeSpan> SilenceTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(30))
    {
        Name = "silence-timeout",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Program,
        Help = "The longest wait, after a complete machine, for a source without a return path or the writer of a pipe to close the connection",
        Reason = "a writer may keep its end of a pipe open for ever, and a slow pipe may pause where the state of a device only looks like a complete machine",
    };

    /// <summary>The longest wait for the destination to accept a connection.</summary>
    public static Parameter<TimeSpan> ConnectTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(10))
    {
        Name = "connect-timeout",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Everywhere,
        Help = "The longest wait for the destination to accept the connection; over RDMA, for each step of connection setup",
        Reason = "QEMU also waits 10 s for the address and 10 s for the route",
    };

    /// <summary>RDMA: the longest wait for a source to complete the connection that it asked for.</summary>
    public static Parameter<TimeSpan> AcceptTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(10))
    {
        Name = "accept-timeout",
        Side = MigrationSide.Incoming,
        Scope = ParameterScope.Rdma,
        Surface = ParameterSurface.Program,
        Help = "RDMA: the longest wait for a source to complete the connection that it asked for",
        Reason = "as long as connect-timeout on the other side",
    };

    /// <summary>RDMA: the longest wait for the return path's connection.</summary>
    public static Parameter<TimeSpan> ReturnPathTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(5))
    {
        Name = "return-path-timeout",
        Side = MigrationSide.Both,
        Scope = ParameterScope.Rdma,
        Surface = ParameterSurface.Program,
        Help = "RDMA: the longest wait for the second connection, which carries the return path",
        Reason = "QEMU waits as long",
    };

    /// <summary>The longest wait for the other side to take a report.</summary>
    public static Parameter<TimeSpan> ReportTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(10))
    {
        Name = "report-timeout",
        Side = MigrationSide.Incoming,
        Surface = ParameterSurface.Program,
        Help = "The longest wait for a source to take a message on the return path",
        Reason = "messages are a few bytes; a source that accepts none within 10 s does not read them at all",
    };

    /// <summary>Silence after which the other side is probed.</summary>
    public static Parameter<TimeSpan> KeepAliveInterval { get; } = new(new DurationKind(zero: "never probe"), TimeSpan.FromSeconds(5))
    {
        Name = "keepalive-interval",
        Side = MigrationSide.Both,
        Surface = ParameterSurface.Everywhere,
        Help = "Idle time after which rdmamig probes the other side; 0 disables probes. Over TCP, in whole seconds",
        Reason = "with the transport's retries (about 15 s on soft-RoCE), rdmamig detects a vanished host within 20 s; the cost is one packet every 5 s",
    };

    /// <summary>The longest wait for the destination's first answer.</summary>
    public static Parameter<TimeSpan> AnswerTimeout { get; } = new(new DurationKind(), TimeSpan.FromSeconds(60))
    {
        Name = "answer-timeout",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Everywhere,
        Help = "The longest wait for the destination's first answer after the connection is open. Over RDMA this also limits the wait for each answer until "
            + "RAM blocks are exchanged; --pin-all adds 4 s for each GiB of RAM. No effect for files, commands and pipes. Raise it for a destination that may "
            + "be busy with another migration",
        Reason = "a QEMU answers within milliseconds; one with multifd on never does, and rdmamig may be busy with another migration",
    };

    /// <summary>The longest wait for the destination's result.</summary>
    public static Parameter<TimeSpan?> ConfirmTimeout { get; } = new(
        new OptionalKind<TimeSpan>(new DurationKind(), "no limit; without a return path 60 s"), null)
    {
        Name = "confirm-timeout",
        Side = MigrationSide.Outgoing,
        Surface = ParameterSurface.Everywhere,
        Help = "The longest wait, after the last byte, for the destination to report its result or, without a return path, to close the connection",
        Reason = "a destination may write a large machine to disk, and probes detect a dead one; 60 s are enough to start a machine",
    };

    /// <summary>What <see cref="ConfirmTimeout"/> is when it is not set and the destination has no return path.</summary>
    public static TimeSpan CloseTimeout { get; } = TimeSpan.FromSeconds(60);

    /// <summary>Who may connect.</summary>
    public static Parameter<IReadOnlyList<AllowedPeers>> Allow { get; } = new(new AllowedPeersKind(), [])
    {
        Name = "allow",
        Side = MigrationSide.Incoming,
        Scope = ParameterScope.Network,
        Surface = ParameterSurface.CommandLine,
        Help = "A network that may connect by RDMA or TCP, such as 10.0.0.0/24, and the source ports that it may use, as in 10.0.0.0/24:1-1023 or "
            + "[fd00::/8]:1024-2047; repeatable. Without it, every host that reaches the port can send a machine",
        Reason = "QEMU admits everyone; there is no other access control",
    };

    /// <summary>TCP: TLS, with certificates from a directory.</summary>
    public static Parameter<string> TlsCreds { get; } = new(new TextKind("DIR", "a directory", "no TLS"), "")
    {
        Name = "tls-creds",
        Side = MigrationSide.Both,
        Scope = ParameterScope.Tcp,
        Surface = ParameterSurface.Everywhere,
        Help = "TCP: encrypt with TLS, with QEMU's files in this directory: ca-cert.pem; server-cert.pem and server-key.pem to receive, client-cert.pem and "
            + "client-key.pem to send; ca-crl.pem if there is one. Both sides check each other's certificate",
        Reason = "QEMU's default; both sides must agree on it, and no other channel can have it",
    };

    /// <summary>TCP with TLS: the destination's name.</summary>
    public static Parameter<string> TlsHostname { get; } = new(new TextKind("NAME", "a host name or address", "the host of the URI"), "")
    {
        Name = "tls-hostname",
        Side = MigrationSide.Outgoing,
        Scope = ParameterScope.Tcp,
        Surface = ParameterSurface.Everywhere,
        Help = "TLS: the name that the destination's certificate must have",
        Reason = "a certificate is made for the name by which its host is known",
    };

    /// <summary>TCP with TLS: the source that is admitted.</summary>
    public static Parameter<string> TlsAuthz { get; } = new(new TextKind("DN", "a distinguished name such as CN=source,O=Example", "any"), "")
    {
        Name = "tls-authz",
        Side = MigrationSide.Incoming,
        Scope = ParameterScope.Tcp,
        Surface = ParameterSurface.Everywhere,
        Help = "TLS: the distinguished name that a source's certificate must have",
        Reason = "QEMU's default: every certificate of the authority is admitted",
    };

    /// <summary>Sources that may wait while a migration runs.</summary>
    public static Parameter<int> Backlog { get; } = new(new CountKind(1, 128), 5)
    {
        Name = "backlog",
        Side = MigrationSide.Incoming,
        Scope = ParameterScope.Network,
        Surface = ParameterSurface.Program,
        Help = "Sources that may wait while a migration runs; further ones are rejected",
        Reason = "QEMU's listen backlog",
    };

    /// <summary>RDMA: how long a wait polls before its thread sleeps.</summary>
    public static Parameter<TimeSpan> SpinTime { get; } = new(new SpinKind(), TimeSpan.FromMicroseconds(50))
    {
        Name = "spin-time",
        Side = MigrationSide.Both,
        Scope = ParameterScope.Rdma,
        Surface = ParameterSurface.Program,
        Help = "RDMA: how long a wait polls before its thread sleeps; 0 sleeps at once, infinite takes a core",
        Reason = "an immediate answer arrives without a wake-up; after a wait of more than twice this time, the next waits sleep at once",
    };

    /// <summary>All rows.</summary>
    public static IReadOnlyList<Parameter> All { get; } =
    [
        PinAll, ReturnPath, Verify, SwitchoverAck, Window, MaxBandwidth, DowntimeLimit, PauseBeforeSwitchover, AutoConverge, ThrottleTriggerThreshold,
        CpuThrottleInitial, CpuThrottleIncrement, MaxCpuThrottle, MaxRam, MaxDeviceState, DeviceStateInMemory, PageSize, Timeout, SetupTimeout, SilenceTimeout,
        ConnectTimeout, AcceptTimeout, ReturnPathTimeout, ReportTimeout, KeepAliveInterval, AnswerTimeout, ConfirmTimeout, Allow, TlsCreds,
        TlsHostname, TlsAuthz, Backlog, SpinTime,
    ];
}
