using System.Globalization;

namespace RdmaMigration.Testing;

/// <summary>rdmamig send. Its machine is a file, which it keeps.</summary>
internal sealed class RdmamigSender(FaultBed bed, FaultCase fault) : ISendingEnd
{
    private readonly string _options = string.Create(
        CultureInfo.InvariantCulture,
        $"--json --keepalive-interval {FaultCase.KeepAliveSeconds}{(fault.To is MigrationProgram.Rdmamig ? " --return-path" : "")}{TimeoutsOf(fault)}");

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

    public Task KillAsync() => _program?.KillAsync() ?? Task.CompletedTask;

    public async ValueTask DisposeAsync() => await KillAsync();

    /// <summary>The defaults let a destination answer within a minute, as one may that is busy.</summary>
    private static string TimeoutsOf(FaultCase fault) => fault.Phase is not FaultPhase.Connecting
        ? ""
        : FormattableString.Invariant($" --connect-timeout {FaultCase.ConnectSeconds} --answer-timeout {FaultCase.AnswerSeconds}");
}
