using System.CommandLine;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Memory;

namespace RdmaMigration.Cli.Doctor;

/// <summary><c>rdmamig doctor</c>: checks whether a migration can arrive on this host, and prints what fixes each problem.</summary>
internal static class DoctorCommand
{
    public static string[] Examples { get; } =
    [
        "rdmamig doctor                     # check this host, and print the command that fixes each problem",
        "rdmamig doctor --max-ram 64G       # also check that 64 GiB of guest RAM fit and can be pinned",
    ];

    public static Command Create(Screen screen)
    {
        Option<ulong?> maxRam = SharedOptions.Value(
            "--max-ram",
            $"RAM size of the expected machine; binary units [default: {MigrationParameters.MaxRam.DefaultText}]",
            MigrationParameters.RamSize);
        Option<bool> json = SharedOptions.Json("Write one JSON object");
        Command command = new("doctor", "Checks this host for migrations over RDMA, and prints the command that fixes each problem.")
        {
            maxRam,
            json,
        };
        command.SetAction(parsed => Run(screen, parsed.GetValue(maxRam), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Screen screen, ulong? maxRam, bool json)
    {
        HostReport report = HostReport.Examine(
            new HostTree(), VerbsView.Read(), LibraryChecks.Load, HostMemory.Available,
            new ProcessLimits(ResourceLimits.LockedMemory, ResourceLimits.FileSize), maxRam);
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
