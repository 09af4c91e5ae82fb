using System.Text.Json;

namespace RdmaMigration.Service;

/// <summary>The QEMU version whose QMP a service models: what it reports as its version, and the members that replies have.</summary>
/// <param name="Name">The option's value.</param>
/// <param name="Version">Major, minor, micro.</param>
internal sealed record QemuProfile(string Name, Version Version)
{
    /// <summary>QEMU 7.2.</summary>
    public static QemuProfile Qemu72 { get; } = new("7.2", new Version(7, 2, 22))
    {
        HasSinglestep = true,
        HasFirstPass = true,
        HasSkippedPages = true,
        HasDetach = true,
        HasBlockMigration = true,
    };

    /// <summary>QEMU 10.0.</summary>
    public static QemuProfile Qemu100 { get; } = new("10.0", new Version(10, 0, 13))
    {
        HasChannels = true,
        HasExitOnError = true,
        HasListeningStatus = true,
        HasDetach = true,
        HasDeviceWithoutPause = true,
        HasFirstPass = true,
        HasMigrationThreads = true,
        HasReasonOfCancel = true,
    };

    /// <summary>QEMU 11.1.</summary>
    public static QemuProfile Qemu111 { get; } = new("11.1", new Version(11, 1, 3))
    {
        HasChannels = true,
        HasExitOnError = true,
        HasListeningStatus = true,
        HasDeviceWithoutPause = true,
        HasRemaining = true,
        HasFailing = true,
        HasNewInfoMigrate = true,
        HasReasonOfCancel = true,
    };

    /// <summary>All profiles; the last is the default.</summary>
    public static IReadOnlyList<QemuProfile> All { get; } = [Qemu72, Qemu100, Qemu111];

    /// <summary>The profile for a QEMU: the nearest one, with the QEMU's own version.</summary>
    public static QemuProfile Of(Version version) => (version.Major < 8 ? Qemu72 : version.Major < 11 ? Qemu100 : Qemu111) with { Version = version };

    /// <summary>query-status has "singlestep".</summary>
    public bool HasSinglestep { get; private init; }

    /// <summary>query-migrate's "ram" has "skipped".</summary>
    public bool HasSkippedPages { get; private init; }

    /// <summary>query-migrate has "remaining" outside "ram" too.</summary>
    public bool HasRemaining { get; private init; }

    /// <summary>migrate and migrate-incoming have "channels".</summary>
    public bool HasChannels { get; private init; }

    /// <summary>migrate has "detach", which has no effect.</summary>
    public bool HasDetach { get; private init; }

    /// <summary>migrate has "blk" and "inc".</summary>
    public bool HasBlockMigration { get; private init; }

    /// <summary>migrate-incoming has "exit-on-error".</summary>
    public bool HasExitOnError { get; private init; }

    /// <summary>query-migrate has the status "setup" while the process listens.</summary>
    public bool HasListeningStatus { get; private init; }

    /// <summary>The status "device" is reported without capability pause-before-switchover too; otherwise "active" stays until the end.</summary>
    public bool HasDeviceWithoutPause { get; private init; }

    /// <summary>When a migration fails, the events are MIGRATION failing, RESUME, MIGRATION failed; otherwise MIGRATION failed, RESUME.</summary>
    public bool HasFailing { get; private init; }

    /// <summary>"info migrate" has the sections that it got after 10.0, and "info migrate_parameters" a unit for max-postcopy-bandwidth.</summary>
    public bool HasNewInfoMigrate { get; private init; }

    /// <summary>MIGRATION_PASS is sent for the first pass too, before MIGRATION active.</summary>
    public bool HasFirstPass { get; private init; }

    /// <summary>query-migrate has error-desc for a migration that was cancelled in pre-switchover.</summary>
    public bool HasReasonOfCancel { get; private init; }

    /// <summary>There is query-migrationthreads.</summary>
    public bool HasMigrationThreads { get; private init; }

    /// <summary>Writes the value of query-version.</summary>
    public void WriteVersion(Utf8JsonWriter writer, string package)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("qemu");
        writer.WriteNumber("micro", Version.Build);
        writer.WriteNumber("minor", Version.Minor);
        writer.WriteNumber("major", Version.Major);
        writer.WriteEndObject();
        writer.WriteString("package", package);
        writer.WriteEndObject();
    }
}
