namespace RdmaMigration.Testing;

/// <summary>rdmamig send. Its machine is a file, which it keeps.</summary>
internal sealed class RdmamigSender(FaultBed bed, FaultCase fault) : ISendingEnd
{
    /// <summary>QEMU 7.2 has no return path over RDMA without postcopy.</summary>
    private readonly string _options = FormattableString.Invariant(
        $"--json --keepalive-interval {FaultCase.KeepAliveSeconds}{(fault.To is MigrationProgram.Rdmamig ? " --return-path" : "")}");

    private GuestProgram? _program;
    private bool _isSent;

    private GuestProgram Program => _program ?? throw new InvalidOperationException("nothing was sent");

    public Task StartAsync() => Task.CompletedTask;

    public async Task SendAsync(string uri, long? bytesPerSecond)
    {
        await KillAsync();
        _isSent = false;
        string limit = bytesPerSecond is { } rate ? FormattableString.Invariant($" --max-bandwidth {rate}") : "";
        _program = await bed.Source.StartAsync($"exec {GuestHost.Rdmamig} send {FaultBed.SourceCapture} '{uri}' {_options}{limit}");
    }

    public Task RamMovesAsync() => Program.Events.FirstAsync(
        said => said.Name == "PROGRESS" && said.Values.GetProperty("ram").GetProperty("transferred").GetInt64() > 0, 0, Deadlines.Migration, "RAM");

    public async Task<FaultReport> ReportAsync(DateTimeOffset since, TimeSpan limit)
    {
        FaultReport report = await FaultReport.WaitAsync(Program, "RESULT", 0, since, limit);
        _isSent = report.End is FaultEnd.Completed;
        return report;
    }

    public Task<bool> HasMachineAsync() => Task.FromResult(!_isSent);

    public async ValueTask DisposeAsync() => await KillAsync();

    private Task KillAsync() => _program?.KillAsync() ?? Task.CompletedTask;
}
