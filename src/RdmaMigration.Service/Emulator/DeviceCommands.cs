namespace RdmaMigration.Service;

/// <summary>Which of QEMU's commands the device model answers: those that ask, and those that only set how the device model behaves.</summary>
internal static class DeviceCommands
{
    private const string Query = "query-";

    /// <summary>Queries on the migration or on a machine that runs. The device model would answer them for itself.</summary>
    private static readonly HashSet<string> s_notOfDevices =
    [
        "query-colo-status",
        "query-dirty-rate",
        "query-dump",
        "query-jobs",
        "query-migrate",
        "query-migrate-capabilities",
        "query-migrate-parameters",
        "query-migrationthreads",
        "query-replay",
        "query-status",
        "query-vcpu-dirty-limit",
        "query-xen-replication-status",
        "query-yank",
    ];

    /// <summary>Commands that libvirt sends to a machine that comes in, before it runs.</summary>
    private static readonly HashSet<string> s_settings =
    [
        "device-list-properties",
        "expire_password",
        "qom-get",
        "qom-list",
        "qom-list-get",
        "qom-list-properties",
        "qom-list-types",
        "set-action",
        "set_password",
    ];

    /// <summary>Settings of devices that libvirt makes before a machine comes in. The machine's own state replaces them, here as in a QEMU.</summary>
    private static readonly HashSet<string> s_beforeArrival = ["balloon", "qom-set", "set_link"];

    /// <summary>The device model answers it only while no machine is here.</summary>
    public static bool IsBeforeArrival(string command) => s_beforeArrival.Contains(command);

    /// <summary>The device model answers it.</summary>
    public static bool IsForwarded(string command) =>
        s_settings.Contains(command) || IsBeforeArrival(command) || (command.StartsWith(Query, StringComparison.Ordinal) && !s_notOfDevices.Contains(command));
}
