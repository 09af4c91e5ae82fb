using Microsoft.Extensions.Logging;
using RdmaMigration.Memory;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>What the engine logs. Trace points carry QEMU's names as event names.</summary>
internal static partial class EngineLog
{
    [LoggerMessage(1, LogLevel.Information, "{Peer} connected over {Device}, {Mode}")]
    public static partial void Connected(ILogger log, string peer, string device, string mode);

    [LoggerMessage(2, LogLevel.Debug, "{Checkpoint}", EventName = "vmstate_downtime_checkpoint")]
    public static partial void DowntimeCheckpoint(ILogger log, string checkpoint);

    [LoggerMessage(3, LogLevel.Error, "load of migration failed: {Reason}")]
    public static partial void LoadFailed(ILogger log, string? reason);

    [LoggerMessage(4, LogLevel.Debug, "ret {Ret} postcopy-state {PostcopyState}", EventName = "process_incoming_migration_end")]
    public static partial void IncomingEnd(ILogger log, int ret, string postcopyState);

    [LoggerMessage(5, LogLevel.Warning, "could not report the result to the source {Peer}: {Reason}")]
    public static partial void SourceNotTold(ILogger log, string peer, string reason);

    [LoggerMessage(6, LogLevel.Critical, "the migration failed because of a bug in this program")]
    public static partial void Defect(ILogger log, Exception defect);

    [LoggerMessage(7, LogLevel.Error, "migration failed: {Reason}")]
    public static partial void SendFailed(ILogger log, string? reason);

    [LoggerMessage(8, LogLevel.Warning, "could not report the failure to the destination: {Reason}")]
    public static partial void DestinationNotTold(ILogger log, string reason);

    [LoggerMessage(9, LogLevel.Warning, "{What}")]
    public static partial void LeftBehind(ILogger log, string what);

    [LoggerMessage(10, LogLevel.Warning, "RAM block '{Block}' ({KiB} KiB) of {Peer} is not in the stream (x-ignore-shared): to start the machine, QEMU needs "
        + "x-ignore-shared on and the same memory file behind that block")]
    public static partial void LeftOut(ILogger log, string block, ulong kiB, string peer);

    [LoggerMessage(11, LogLevel.Information, "{Peer}: {Missing}; the guest does not use them (virtio-mem, free page hints)")]
    public static partial void NotSent(ILogger log, string peer, MissingPages missing);

    [LoggerMessage(12, LogLevel.Debug, "{Peer}: ignored {Count} bytes after the end of the stream")]
    public static partial void TrailingBytes(ILogger log, string peer, long count);

    [LoggerMessage(14, LogLevel.Warning, "{Capture} needs capability {Capability} at the destination: turn it on there before the migration")]
    public static partial void NeedsCapability(ILogger log, string capture, string capability);

    [LoggerMessage(15, LogLevel.Critical, "the machine could not be started again after a failed migration")]
    public static partial void NotStarted(ILogger log, Exception failed);

    [LoggerMessage(16, LogLevel.Debug, "new state {State}", EventName = "migrate_set_state")]
    public static partial void SetState(ILogger log, string state);

    [LoggerMessage(17, LogLevel.Debug, "setup complete", EventName = "migration_thread_setup_complete")]
    public static partial void SetupComplete(ILogger log);

    [LoggerMessage(18, LogLevel.Debug, "dirty_pages {DirtyPages}", EventName = "migration_bitmap_sync_end")]
    public static partial void BitmapSyncEnd(ILogger log, long dirtyPages);

    [LoggerMessage(
        19,
        LogLevel.Debug,
        "transferred {Transferred} time_spent {Milliseconds} bandwidth {Bandwidth} max_size {Threshold}",
        EventName = "migrate_transferred")]
    public static partial void Transferred(ILogger log, long transferred, long milliseconds, long bandwidth, long threshold);

    [LoggerMessage(20, LogLevel.Debug, "{Pending}", EventName = "migration_thread_low_pending")]
    public static partial void LowPending(ILogger log, long pending);

    [LoggerMessage(21, LogLevel.Debug, "percentage {Percentage}", EventName = "migration_throttle")]
    public static partial void Throttle(ILogger log, int percentage);

    [LoggerMessage(22, LogLevel.Debug, "{Id}({Name}) {Instance} {Version}", EventName = "qemu_loadvm_state_section_startfull")]
    public static partial void SectionOpened(ILogger log, uint id, string name, uint instance, uint version);

    [LoggerMessage(23, LogLevel.Trace, "{Id}", EventName = "qemu_loadvm_state_section_partend")]
    public static partial void SectionContinued(ILogger log, uint id);

    [LoggerMessage(24, LogLevel.Debug, "com={Command} len={Length}", EventName = "loadvm_process_command")]
    public static partial void Command(ILogger log, string command, int length);

    [LoggerMessage(25, LogLevel.Debug, "{Length}", EventName = "loadvm_handle_cmd_packaged")]
    public static partial void Package(ILogger log, uint length);

    [LoggerMessage(26, LogLevel.Debug, "{Length}", EventName = "loadvm_handle_cmd_packaged_received")]
    public static partial void PackageReceived(ILogger log, int length);

    [LoggerMessage(27, LogLevel.Debug, "{Ret}", EventName = "loadvm_handle_cmd_packaged_main")]
    public static partial void PackageEnd(ILogger log, int ret);

    /// <summary>What is to be said of a machine that was read.</summary>
    public static void Remarks(ILogger log, string peer, CapturedStream machine)
    {
        foreach (RamBlockDescription block in machine.LeftOut)
        {
            LeftOut(log, block.Name, block.Length >> 10, peer);
        }

        foreach (MissingPages missing in machine.NotSent)
        {
            NotSent(log, peer, missing);
        }

        if (machine.TrailingBytes > 0)
        {
            TrailingBytes(log, peer, machine.TrailingBytes);
        }
    }
}
