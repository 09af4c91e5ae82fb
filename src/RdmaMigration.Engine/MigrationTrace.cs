using System.Diagnostics;
using Microsoft.Extensions.Logging;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// One migration's trace points, under QEMU's names and with QEMU's arguments: each is a log message whose event has the name, and an event of an activity of
/// the source "RdmaMigration.Engine". Any thread.
/// </summary>
internal sealed class MigrationTrace(ILogger log)
{
    private const string NoPostcopy = "none";

    /// <summary>How many sections and commands of a stream become events. An activity keeps its events, and the source decides how many come.</summary>
    private const int MostOfStream = 1000;

    private static readonly ActivitySource s_source = new("RdmaMigration.Engine");

    private Activity? _activity;
    private int _ofStream;

    /// <summary>Begins the activity, if anyone listens. On the migration's thread, which disposes the result when it ends.</summary>
    public IDisposable? Begin(string thread) => _activity = s_source.StartActivity(thread);

    /// <summary>A transition.</summary>
    public void SetState(MigrationStatus status)
    {
        string name = status.ToQmp();
        EngineLog.SetState(log, name);
        Add("migrate_set_state", ("new", name));
    }

    /// <summary>A step that counts for the downtime: src-downtime-start, src-vm-stopped and so on.</summary>
    public void DowntimeCheckpoint(string checkpoint)
    {
        EngineLog.DowntimeCheckpoint(log, checkpoint);
        Add("vmstate_downtime_checkpoint", ("checkpoint", checkpoint));
    }

    /// <summary>The stream of an incoming migration was loaded, or could not be. There is no postcopy.</summary>
    public void IncomingEnd(bool isLoaded)
    {
        int result = isLoaded ? 0 : -1;
        EngineLog.IncomingEnd(log, result, NoPostcopy);
        Add("process_incoming_migration_end", ("ret", result), ("postcopy-state", NoPostcopy));
    }

    /// <summary>A START or FULL section of an incoming stream begins. Like all points of a stream: on the thread that loads it.</summary>
    public void SectionOpened(uint id, string name, uint instance, uint version)
    {
        EngineLog.SectionOpened(log, id, name, instance, version);
        AddOfStream("qemu_loadvm_state_section_startfull", ("section_id", id), ("idstr", name), ("instance_id", instance), ("version_id", version));
    }

    /// <summary>A PART or END section begins. Only logged: RAM has thousands.</summary>
    public void SectionContinued(uint id) => EngineLog.SectionContinued(log, id);

    /// <summary>A command of an incoming stream.</summary>
    public void Command(MigrationCommand command, int length)
    {
        if (_activity is not null || log.IsEnabled(LogLevel.Debug))
        {
            string name = NameOf(command);
            EngineLog.Command(log, name, length);
            AddOfStream("loadvm_process_command", ("com", name), ("len", length));
        }
    }

    /// <summary>A package comes.</summary>
    public void Package(uint length)
    {
        EngineLog.Package(log, length);
        AddOfStream("loadvm_handle_cmd_packaged", ("length", length));
    }

    /// <summary>A package is in memory.</summary>
    public void PackageReceived(int length)
    {
        EngineLog.PackageReceived(log, length);
        AddOfStream("loadvm_handle_cmd_packaged_received", ("ret", length));
    }

    /// <summary>A package was loaded, or could not be.</summary>
    public void PackageEnd(bool isLoaded)
    {
        int result = isLoaded ? 0 : -1;
        EngineLog.PackageEnd(log, result);
        AddOfStream("loadvm_handle_cmd_packaged_main", ("ret", result));
    }

    /// <summary>The stream is set up; the first pass comes.</summary>
    public void SetupComplete()
    {
        EngineLog.SetupComplete(log);
        Add("migration_thread_setup_complete");
    }

    /// <summary>Written pages were collected.</summary>
    public void BitmapSyncEnd(long dirtyPages)
    {
        EngineLog.BitmapSyncEnd(log, dirtyPages);
        Add("migration_bitmap_sync_end", ("dirty_pages", dirtyPages));
    }

    /// <summary>A pass was measured.</summary>
    /// <param name="transferred">Bytes that were sent.</param>
    /// <param name="time">In so much time.</param>
    /// <param name="bandwidth">Bytes a second, as estimated.</param>
    /// <param name="threshold">The bytes that may be left when the machine is stopped.</param>
    public void Transferred(long transferred, TimeSpan time, long bandwidth, long threshold)
    {
        long milliseconds = (long)time.TotalMilliseconds;
        EngineLog.Transferred(log, transferred, milliseconds, bandwidth, threshold);
        Add(
            "migrate_transferred",
            ("transferred", transferred),
            ("time_spent", milliseconds),
            ("bandwidth", bandwidth),
            ("max_size", threshold));
    }

    /// <summary>What is left is below the threshold.</summary>
    public void LowPending(long pending)
    {
        EngineLog.LowPending(log, pending);
        Add("migration_thread_low_pending", ("pending", pending));
    }

    /// <summary>The program is slowed.</summary>
    public void Throttle(int percentage)
    {
        EngineLog.Throttle(log, percentage);
        Add("migration_throttle", ("percentage", percentage));
    }

    private static string NameOf(MigrationCommand command) => command switch
    {
        MigrationCommand.OpenReturnPath => "OPEN_RETURN_PATH",
        MigrationCommand.Ping => "PING",
        MigrationCommand.PostcopyAdvise => "POSTCOPY_ADVISE",
        MigrationCommand.Packaged => "PACKAGED",
        MigrationCommand.EnableColo => "ENABLE_COLO",
        MigrationCommand.SwitchoverStart => "SWITCHOVER_START",
        _ => command.ToString(),
    };

    private void AddOfStream(string name, params ReadOnlySpan<(string Name, object Value)> arguments)
    {
        if (_ofStream < MostOfStream)
        {
            _ofStream++;
            Add(name, arguments);
        }
    }

    private void Add(string name, params ReadOnlySpan<(string Name, object Value)> arguments)
    {
        if (_activity is { } activity)
        {
            ActivityTagsCollection tags = [];
            foreach ((string argument, object value) in arguments)
            {
                tags.Add(argument, value);
            }

            activity.AddEvent(new ActivityEvent(name, tags: tags));
        }
    }
}
