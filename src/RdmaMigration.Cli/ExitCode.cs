using RdmaMigration.Service;

namespace RdmaMigration.Cli;

/// <summary>The exit codes of rdmamig. The help and the manual of a command print its lines, those of the program all.</summary>
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

    private static readonly Meaning[] s_meanings =
    [
        new(Done, "success"),
        new(Done, "success, quit, SIGINT or SIGTERM", "serve", "qemu"),
        new(Done, "success, q, SIGINT or SIGTERM", "top"),
        new(Failed, "the migration failed, with --once, exec:, file: or fd:. Without these the command listens for the next source", "receive", "relay"),
        new(Failed, "the migration failed", "send"),
        new(Failed, "the migration failed, or the QEMU at SOCKET refused a setting", "migrate"),
        new(Failed, "an incoming migration failed and exit-on-error is true", "serve", "qemu"),
        new(Failed, "the migration failed, or the guest lost a write or has a torn page", "guest"),
        new(Failed, "the QEMU at SOCKET disconnected or refused a command", "top"),
        new(Failed, "FILE cannot be read, is not a migration stream, or lacks the device that --device names", "inspect"),
        new(Usage, "the command line is wrong; nothing was tried"),
        new(
            HostCannot,
            "this host cannot do it: no RDMA library or RDMA device, a port is in use, or a target cannot be written",
            "receive", "send", "relay", "serve", "qemu", "guest"),
        new(HostCannot, "no QMP monitor answers at SOCKET", "migrate", "top"),
        new(HostCannot, "a migration over RDMA cannot work on this host, or standard output cannot be written", "doctor"),
        new(HostCannot, "standard output cannot be written", "inspect", "--help", "--version"),
        new(Cancelled, "cancelled by SIGINT, SIGTERM or SIGHUP", "receive", "send", "relay", "guest", "migrate"),
    ];

    /// <summary>The lines of a command, or all of the program, in ascending order.</summary>
    /// <param name="command">The name of a command; null for the program.</param>
    public static IEnumerable<(int Code, string Meaning)> MeaningsOf(string? command)
    {
        foreach (IGrouping<int, Meaning> code in s_meanings.GroupBy(meaning => meaning.Code))
        {
            Meaning? own = code.FirstOrDefault(meaning => meaning.Commands.Contains(command));
            foreach (Meaning meaning in own is null ? code.Where(meaning => command is null || meaning.Commands.Length == 0) : [own])
            {
                string commands = command is null && meaning.Commands.Length > 0 ? $"{string.Join(", ", meaning.Commands)}: " : "";
                yield return (meaning.Code, commands + meaning.Text);
            }
        }
    }

    /// <param name="Code">The exit code.</param>
    /// <param name="Text">What it means.</param>
    /// <param name="Commands">The commands whose meaning it is; empty for all that have none of their own.</param>
    private sealed record Meaning(int Code, string Text, params string[] Commands);
}
