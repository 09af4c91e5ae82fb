using System.Globalization;
using RdmaMigration.Engine;
using RdmaMigration.Streams;

namespace RdmaMigration.Cli.Inspect;

/// <summary>The report for people: the machine, its RAM blocks, its devices, and on request the fields.</summary>
internal static class InspectText
{
    public static void Write(StreamReport report, Screen screen, bool onlyDevices, bool fields)
    {
        if (!onlyDevices)
        {
            WriteMachine(report, screen);
            WriteBlocks(report.Ram, screen);
        }

        if (fields)
        {
            foreach (DeviceReport device in report.Devices)
            {
                FieldTree.Write(device, screen.Out);
            }
        }
        else
        {
            WriteDevices(report.Devices, screen);
        }
    }

    private static void WriteMachine(StreamReport report, Screen screen)
    {
        TextTable table = new(columns: 2);
        table.Add("machine type", report.MachineType ?? "not in the stream");
        if (report.Uuid is { } uuid)
        {
            table.Add("uuid", uuid.ToString());
        }

        table.Add("stream", $"{ByteSize.Format(report.TotalBytes)}, pages of {ByteSize.Format((ulong)report.PageSize)}");
        table.Add("RAM", $"{ByteSize.Format(report.Ram.TotalLength)} in {Count(report.Ram.Blocks.Count, "block")}, {Percent(ZeroShare(report.Ram))} zero");
        table.Add("device state", $"{ByteSize.Format((ulong)report.DeviceStateBytes)} in {Count(report.Devices.Count, "device")}"
            + (report.VmDescriptionBytes is null ? "; no vmdescription, so no fields" : ""));
        if (report.Capabilities.Count > 0)
        {
            table.Add("needs", string.Join(", ", report.Capabilities));
        }

        if (report.Ram.Hooks > 0)
        {
            table.Add("RDMA", $"{Count((int)report.Ram.Hooks, "hook")}: pages went beside the stream");
        }

        table.Write(screen);
        screen.Out.WriteLine();
    }

    private static void WriteBlocks(RamReport ram, Screen screen)
    {
        // Encodings that a stream does not use get no column.
        (string Header, Func<RamBlockReport, ulong> Pages)[] encodings =
        [
            (">data", block => block.DataPages),
            (">zero", block => block.ZeroPages),
            (">fill", block => block.FillPages),
            (">xbzrle", block => block.XbzrlePages),
            (">compressed", block => block.CompressedPages),
        ];
        (string Header, Func<RamBlockReport, ulong> Pages)[] used =
            encodings.Where((encoding, index) => index < 2 || ram.Blocks.Any(block => encoding.Pages(block) > 0)).ToArray();
        TextTable table = new(["RAM block", ">size", .. used.Select(encoding => encoding.Header), ">zero share"]);
        foreach (RamBlockReport block in ram.Blocks)
        {
            table.Add([
                block.Name,
                ByteSize.Format(block.Length),
                .. used.Select(encoding => new Cell(encoding.Pages(block).ToString(CultureInfo.InvariantCulture))),
                Percent(block.ZeroShare),
            ]);
        }

        table.Write(screen);
        foreach (MissingPages missing in ram.Missing)
        {
            screen.Out.WriteLine(missing);
        }

        screen.Out.WriteLine();
    }

    private static void WriteDevices(IReadOnlyList<DeviceReport> devices, Screen screen)
    {
        TextTable table = new("device", ">instance", ">version", ">bytes", ">fields", "subsections");
        foreach (DeviceReport device in devices)
        {
            table.Add(
                device.Name,
                device.InstanceId.ToString(CultureInfo.InvariantCulture),
                device.Version.ToString(CultureInfo.InvariantCulture),
                device.Length.ToString(CultureInfo.InvariantCulture),
                device.State?.Fields.Count.ToString(CultureInfo.InvariantCulture) ?? "-",
                device.Problem is { } problem
                    ? new Cell(problem, Tone.Caution)
                    : string.Join(", ", device.State?.Subsections.Select(subsection => subsection.Name) ?? []));
        }

        table.Write(screen);
    }

    private static double ZeroShare(RamReport ram)
    {
        ulong zero = ram.Blocks.Aggregate(0UL, (sum, block) => sum + block.ZeroPages);
        ulong all = ram.Blocks.Aggregate(0UL, (sum, block) =>
            sum + block.DataPages + block.ZeroPages + block.FillPages + block.XbzrlePages + block.CompressedPages);
        return all == 0 ? 0 : (double)zero / all;
    }

    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.0} %");

    private static string Count(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";
}
