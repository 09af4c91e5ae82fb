namespace RdmaMigration.Testing;

/// <summary>rdmamig send. Its machine is a file, which it keeps.</summary>
internal sealed class RdmamigSender(FaultBed bed, FaultCase fault) : ISendingEnd
{
    /// <summary>QEMU 7.2 has no return path over RDMA without postcopy.</summary>
    private readonly string _options = FormattableString.Invariant(
        $"--json --keepalive-interval {FaultCase.KeepAliveSeconds}{(fault.To is MigrationProgram.Rdmamig ? " --return-path" : "")}");

    private const int LittleRam = 5 << 20;
    private const double IntervalSeconds = 0.1;

    private GuestProgram? _program;
    private bool _isSent;

    private GuestProgram Program => _program ?? throw new InvalidOperationException("nothing was sent");

    public Task StartAsync() => Task.CompletedTask;

    public async Task SendAsync(string uri, FaultPhase phase)
    {
        await KillAsync();
        _isSent = false;
        string bandwidth = FormattableString.Invariant($" --max-bandwidth {FaultBed.SlowBytesPerSecond}");
        string limit = phase switch
        {
            FaultPhase.Setup or FaultPhase.Ram => bandwidth,
            FaultPhase.Device or FaultPhase.Result => bandwidth + FormattableString.Invariant($" --interval {IntervalSeconds}"),
            _ => "",
        };
        _program = await bed.Source.StartAsync($"exec {GuestHost.Rdmamig} send {FaultBed.SourceCapture} '{uri}' {_options}{limit}");
    }

    public Task RamEndsAsync() => Program.Events.FirstAsync(
        said => RamOf(said, "total") > 0 && RamOf(said, "remaining") <= LittleRam, 0, Deadlines.Migration, "end of RAM");

    public Task ReachAsync(FaultPhase phase) => Program.Events.FirstAsync(
        phase switch
        {
            FaultPhase.Device => said => said is { Name: "MIGRATION", Status: "device" },
            FaultPhase.Result => IsConfirming,
            _ => said => RamOf(said, "transferred") > 0,
        },
        0,
        Deadlines.Migration,
        phase.ToString());

    public Task ContinueAsync(FaultPhase phase) => Task.CompletedTask;

    public QmpEvent? FirstAfter(FaultPhase phase) => Program.Events.Snapshot().FirstOrDefault(said => phase switch
    {
        FaultPhase.Setup => said is { Name: "MIGRATION", Status: "active" },
        FaultPhase.Device => said.Name == "RESULT" || IsConfirming(said),
        _ => said.Name == "RESULT",
    });

    public async Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit)
    {
        FaultReport report = await FaultReport.WaitAsync(Program, "RESULT", 0, since, limit);
        _isSent = report.End is FaultEnd.Completed;
        return report;
    }

    public Task<bool> HasMachineAsync() => Task.FromResult(!_isSent);

    public async ValueTask DisposeAsync() => await KillAsync();

    private static bool IsConfirming(QmpEvent said) => said.Name == "PROGRESS" && said.Values.GetProperty("phase").GetString() == "confirming";

    /// <summary>A figure of the RAM in a progress report; -1 in other events.</summary>
    private static long RamOf(QmpEvent said, string figure) =>
        said.Name == "PROGRESS" ? said.Values.GetProperty("ram").GetProperty(figure).GetInt64() : -1;

    private Task KillAsync() => _program?.KillAsync() ?? Task.CompletedTask;
}
