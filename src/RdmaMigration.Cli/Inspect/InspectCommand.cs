using System.CommandLine;
using RdmaMigration.Engine;
using RdmaMigration.Streams;

namespace RdmaMigration.Cli.Inspect;

/// <summary><c>rdmamig inspect FILE</c>: what a migration stream holds, without a QEMU and without the guest's RAM.</summary>
internal static class InspectCommand
{
    public static string[] Examples { get; } =
    [
        "rdmamig inspect vm.qemu                       # machine type, RAM blocks, devices",
        "rdmamig inspect vm.qemu --device vga --fields # the fields of one device with their values",
        "zstd -dc vm.qemu.zst | rdmamig inspect - --json",
    ];

    public static Command Create(Screen screen)
    {
        Argument<string> file = SharedOptions.Path("FILE", "A migration stream: a capture, or a file written by QEMU's migrate; - is standard input");
        Option<string?> device = new("--device")
        {
            Description = "Show only this device, by its name or the part of the name after the last slash",
            HelpName = "NAME",
        };
        Option<bool> fields = new("--fields") { Description = "Show the fields of the devices with their values" };
        Option<bool> json = SharedOptions.Json("Write one JSON object, fields included");
        ParameterOptions parameters = new(MigrationParameters.MaxDeviceState, MigrationParameters.PageSize);
        Command command = new("inspect", "Shows what a migration stream contains: machine type, RAM, devices and their fields.")
        {
            file, device, fields, json,
        };
        parameters.AddTo(command.Options);
        command.SetAction(parsed => Run(
            screen, parsed.GetRequiredValue(file), parsed.GetValue(device), parsed.GetValue(fields), parsed.GetValue(json), parameters.Read(parsed)));
        return command;
    }

    private static int Run(Screen screen, string path, string? device, bool fields, bool json, ParameterSet parameters)
    {
        StreamReport report;
        try
        {
            using CaptureSource source = new(path);
            report = StreamInspector.Inspect(source, parameters.ForStream(ramIsFresh: false) with { MayBeDisk = true });
        }
        catch (IOException failed)
        {
            screen.Error.WriteLine(failed is StreamFormatException ? $"rdmamig: {path}: {failed.Message}" : $"rdmamig: {failed.Message}");
            return ExitCode.Failed;
        }

        if (device is not null)
        {
            DeviceReport[] chosen = report.Devices.Where(candidate => IsNamed(candidate, device)).ToArray();
            if (chosen.Length == 0)
            {
                string names = string.Join(", ", report.Devices.Select(candidate => candidate.Name));
                screen.Error.WriteLine($"rdmamig: {path} has no device '{device}'; it has {names}");
                return ExitCode.Failed;
            }

            report = report with { Devices = chosen };
        }

        if (json)
        {
            InspectJson.Write(report, screen.Out);
        }
        else
        {
            InspectText.Write(report, screen, onlyDevices: device is not null, fields);
        }

        return ExitCode.Done;
    }

    // A device's name in the stream is its path in the machine and its kind, such as 0000:00:02.0/vga.
    private static bool IsNamed(DeviceReport device, string name) =>
        device.Name == name || device.Name[(device.Name.LastIndexOf('/') + 1)..] == name;
}
