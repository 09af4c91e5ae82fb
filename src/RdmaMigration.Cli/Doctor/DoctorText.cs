namespace RdmaMigration.Cli.Doctor;

/// <summary>The report for people: a line for each check, below it the command that fixes the problem, at the end the verdict.</summary>
internal static class DoctorText
{
    public static void Write(HostReport report, Screen screen)
    {
        TextTable table = new(columns: 3);
        foreach (HostCheck check in report.Checks)
        {
            table.Add(Status(check.Status), check.Name, check.Detail);
            if (check.Fix is not null)
            {
                table.Add("", "", new Cell($"fix: {check.Fix}", Tone.Action));
            }
        }

        foreach (DeviceView device in report.Devices)
        {
            foreach (PortView port in device.Ports)
            {
                foreach (GidView gid in port.Gids)
                {
                    table.Add(new Cell("gid", Tone.Dim), new Cell($"{device.Name}/{port.Number}", Tone.Dim), new Cell(Describe(gid), Tone.Dim));
                }
            }
        }

        table.Write(screen);
        screen.Out.WriteLine(Verdict(report));
    }

    private static Cell Status(CheckStatus status) => status switch
    {
        CheckStatus.Ok => new Cell("ok", Tone.Good),
        CheckStatus.Warn => new Cell("warn", Tone.Caution),
        _ => new Cell("missing", Tone.Bad),
    };

    private static string Describe(GidView gid) =>
        $"[{gid.Index}] {gid.Address ?? gid.Gid}  {gid.Type}" + (gid.NetworkDevice is null ? "" : $"  {gid.NetworkDevice}");

    private static string Verdict(HostReport report)
    {
        int missing = report.Checks.Count(check => check.Status == CheckStatus.Missing);
        int warnings = report.Checks.Count(check => check.Status == CheckStatus.Warn);
        string devices = string.Join(", ", report.Checks.Where(check => check.IsUsable).Select(check => check.Name));
        return (missing, warnings) switch
        {
            (0, 0) => $"This host can receive migrations over RDMA, on {devices}.",
            (0, _) => $"This host can receive migrations over RDMA, on {devices}; {Count(warnings, "warning")}.",
            _ => $"This host cannot receive migrations over RDMA: {Count(missing, "problem")} to fix. tcp: and unix: do not need RDMA.",
        };
    }

    private static string Count(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";
}
