using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Engine;

/// <summary>What a migration is at.</summary>
internal enum MigrationPhase
{
    /// <summary>Nothing is under way.</summary>
    Idle,

    /// <summary>Outgoing: the capture is read from its file.</summary>
    Loading,

    /// <summary>Outgoing: the destination is contacted.</summary>
    Connecting,

    /// <summary>Incoming: RAM arrives.</summary>
    Ram,

    /// <summary>Outgoing: RAM is sent.</summary>
    Sending,

    /// <summary>Outgoing: the machine is stopped, and migrate-continue is awaited.</summary>
    PreSwitchover,

    /// <summary>Device state is under way.</summary>
    Device,

    /// <summary>Incoming: the capture is written.</summary>
    Saving,

    /// <summary>Outgoing: everything is sent; what the destination makes of it is awaited.</summary>
    Confirming,
}

/// <summary>What each phase is called.</summary>
internal static class MigrationPhases
{
    /// <summary>The word for programs.</summary>
    public static string ToWord(this MigrationPhase phase) => phase switch
    {
        MigrationPhase.Idle => "idle",
        MigrationPhase.Loading => "loading",
        MigrationPhase.Connecting => "connecting",
        MigrationPhase.Ram => "ram",
        MigrationPhase.Sending => "sending",
        MigrationPhase.PreSwitchover => "pre-switchover",
        MigrationPhase.Device => "device",
        MigrationPhase.Saving => "saving",
        MigrationPhase.Confirming => "confirming",
        _ => throw new ArgumentOutOfRangeException(nameof(phase), phase, "no such phase"),
    };
}

/// <summary>What query-migrate tells of the migration that runs or ran last. A snapshot; it does not change.</summary>
internal sealed record MigrationInfo
{
    /// <summary>QEMU's status.</summary>
    public required MigrationStatus Status { get; init; }

    /// <summary>When the status was reached; null before the first migration.</summary>
    public DateTimeOffset? ReachedAt { get; init; }

    /// <summary>This side sends a capture or a machine that it has; else it receives.</summary>
    public bool IsOutgoing { get; init; }

    /// <summary>What it is at.</summary>
    public MigrationPhase Phase { get; init; }

    /// <summary>Nothing stops it any more.</summary>
    public bool IsDecided { get; init; }

    /// <summary>The other side: address and port, path, command.</summary>
    public string? Peer { get; init; }

    /// <summary>How RAM travels.</summary>
    public RamMode Mode { get; init; }

    /// <summary>There is a return path.</summary>
    public bool ReturnPath { get; init; }

    /// <summary>The machine type, once the stream has named it.</summary>
    public string? Machine { get; init; }

    /// <summary>Bytes of RAM in the source's list; 0 before it came. Without <see cref="LeftOut"/>, once that is known.</summary>
    public long RamTotal { get; init; }

    /// <summary>
    /// RAM blocks whose content is not in the stream, known when RAM is complete: with x-ignore-shared the destination must have the same shared memory itself.
    /// </summary>
    public IReadOnlyList<RamBlockDescription> LeftOut { get; init; } = [];

    /// <summary>Incoming: RAM was compared with the source's digests and is equal (verify).</summary>
    public bool IsVerified { get; init; }

    /// <summary>
    /// Bytes of RAM that have arrived, or are known to be zero: exact for what is sent, and for what comes with dynamic registration per chunk; sampled for
    /// what comes with pin-all; where RAM comes in the stream, each page counts as often as it came, up to the total.
    /// </summary>
    public long RamTransferred { get; init; }

    /// <summary>Bytes of RAM that are zero and were not sent as pages.</summary>
    public long RamZero { get; init; }

    /// <summary>Bytes of RAM that stand in the capture; of <see cref="RamTotal"/>.</summary>
    public long SavedRam { get; init; }

    /// <summary>Bytes of the capture written so far. Zero pages take 9 bytes each.</summary>
    public long SavedBytes { get; init; }

    /// <summary>
    /// Incoming: from the connection to the end of the stream, to a failure, also one after that, or to now. Outgoing: from the first attempt to connect to
    /// the destination's word, or its close.
    /// </summary>
    public TimeSpan TotalTime { get; init; }

    /// <summary>What writing the capture took, or has taken so far.</summary>
    public TimeSpan SaveTime { get; init; }

    /// <summary>
    /// Incoming, ended: the file that has the machine, complete; also one that was rescued, or that could not get its name. Outgoing: the capture that is sent;
    /// null for a machine out of memory.
    /// </summary>
    public string? File { get; init; }

    /// <summary>Outgoing: where to, as it was asked.</summary>
    public string? Uri { get; init; }

    /// <summary>Outgoing or sent on, completed: whether the destination has proved that it has the machine. Some protocols give no proof.</summary>
    public bool? Confirmed { get; init; }

    /// <summary>Outgoing: the destination has everything and has not refused it, so it may run the machine, also after a failure here.</summary>
    public bool MayHaveArrived { get; init; }

    /// <summary>Outgoing: what reading the capture took, or has taken so far. Zero for a machine out of memory.</summary>
    public TimeSpan LoadTime { get; init; }

    /// <summary>Outgoing: from the first attempt to connect to the first of RAM.</summary>
    public TimeSpan SetupTime { get; init; }

    /// <summary>Outgoing: bytes of the capture that have been read; of <see cref="FileBytes"/>.</summary>
    public long LoadedBytes { get; init; }

    /// <summary>Outgoing: bytes in the capture's file; 0 for a pipe.</summary>
    public long FileBytes { get; init; }

    /// <summary>
    /// Incoming, for a machine that is sent on: the way to its destination. Its <see cref="TotalTime"/> is that of connecting and sending, without the time
    /// between, in which the machine arrives.
    /// </summary>
    public MigrationInfo? Destination { get; init; }

    /// <summary>Outgoing, of a machine that runs: passes, rates, downtime; null for a capture.</summary>
    public LiveInfo? Live { get; init; }

    /// <summary>Why it failed, as long as no new migration has begun.</summary>
    public string? ErrorDescription { get; init; }

    /// <summary>Outgoing: it was cancelled in status pre-switchover.</summary>
    public bool IsCancelledInPause { get; init; }

    /// <summary>The kind of the failure.</summary>
    public FailureReason? ErrorClass { get; init; }

    /// <summary>From the completion waiter's sight of the broken connection to the receive thread's hold of the error.</summary>
    public TimeSpan? ErrorLatency { get; init; }
}
