using System.CommandLine;
using RdmaMigration.Engine;
using RdmaMigration.Memory;

namespace RdmaMigration.Cli.Doctor;

/// <summary><c>rdmamig doctor</c>: can a migration arrive on this host, and if not, what mends it.</summary>
internal static class DoctorCommand
{
    public static string[] Examples { get; } =
    [
        "rdmamig doctor                     # what is missing, and the line that mends it",
        "rdmamig doctor --max-ram 64G       # would a machine of 64 GiB fit, and may it be pinned",
    ];

    public static Command Create(Screen screen)
    {
        Option<ulong?> maxRam = SharedOptions.Value(
            "--max-ram", $"Size of the machine that is expected; binary units [default: {MigrationParameters.MaxRam.DefaultText}]", MigrationParameters.RamSize);
        Option<bool> json = SharedOptions.Json("Write one JSON object");
        Command command = new("doctor", "Says what this host lacks for a migration over RDMA, and the line that mends it.") { maxRam, json };
        command.SetAction(parsed => Run(screen, parsed.GetValue(maxRam), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Screen screen, ulong? maxRam, bool json)
    {
        HostReport report = HostReport.Examine(
            new HostTree(), VerbsView.Read(), LibraryChecks.Load, HostMemory.Available, HostMemory.MemlockLimit, maxRam);
        if (json)
        {
            DoctorJson.Write(report, screen.Out);
        }
        else
        {
            DoctorText.Write(report, screen);
        }

        return report.MigrationPossible ? ExitCode.Done : ExitCode.HostCannot;
    }
}
