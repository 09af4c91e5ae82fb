using RdmaMigration.Service;

namespace RdmaMigration.Cli;

/// <summary>The exit codes of rdmamig. The help text and the README print the same table.</summary>
internal static class ExitCode
{
    /// <summary>Done: the migration is complete, the file was read, the host is able.</summary>
    public const int Done = 0;

    /// <summary>The work was tried and failed: a migration with <c>--once</c>, or a file that is not a migration stream or has no such device.</summary>
    public const int Failed = 1;

    /// <summary>The command line is wrong; nothing was tried.</summary>
    public const int Usage = 2;

    /// <summary>
    /// This host cannot: no RDMA library or device, an address that cannot be bound, a target that cannot be written, a QMP monitor that does not answer, or
    /// standard output where the work goes there.
    /// </summary>
    public const int HostCannot = 3;

    /// <summary>Cancelled by SIGINT or SIGTERM (128 + SIGINT, as shells have it).</summary>
    public const int Cancelled = ReceiverHost.Cancelled;

    /// <summary>The table as help prints it, in ascending order.</summary>
    public static IReadOnlyList<(int Code, string Meaning)> Meanings { get; } =
    [
        (Done, "success"),
        (Failed, "the migration failed, a guest lost a write or has a torn page, or FILE cannot be read, is not a migration stream, or does not contain "
            + "the device that --device names. After a failed migration, receive and relay keep listening; they exit only with --once, exec:, file: or fd:"),
        (Usage, "the command line is wrong; nothing was tried"),
        (HostCannot, "this host cannot do it: no RDMA library or RDMA device, a port is in use, a target cannot be written, or no QMP monitor answers at "
            + "SOCKET. inspect, doctor, --help and --version exit with it when standard output cannot be written"),
        (Cancelled, "cancelled by SIGINT, SIGTERM or SIGHUP (serve, qemu and top exit with 0)"),
    ];
}
