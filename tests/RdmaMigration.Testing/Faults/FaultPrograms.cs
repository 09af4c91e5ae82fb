namespace RdmaMigration.Testing;

/// <summary>The programs of one case. Disposing kills them.</summary>
internal sealed class FaultPrograms : IAsyncDisposable
{
    private readonly FaultBed _bed;
    private readonly FaultCase _fault;

    /// <summary>On the destination's host; null for a case without a relay.</summary>
    private GuestProgram? _relay;

    public FaultPrograms(FaultBed bed, FaultCase fault)
    {
        _bed = bed;
        _fault = fault;
        Sender = fault.From is MigrationProgram.Qemu ? new QemuSender(bed, fault) : new RdmamigSender(bed, fault);
        Receiver = fault.To is MigrationProgram.Qemu ? new QemuReceiver(bed) : new RdmamigReceiver(bed, fault);
    }

    public ISendingEnd Sender { get; }

    public IReceivingEnd Receiver { get; }

    /// <summary>Starts the programs that receive.</summary>
    /// <returns>Where the source sends the machine.</returns>
    public async Task<string> ListenAsync()
    {
        string uri = await Receiver.ListenAsync();
        if (_fault.Kind is not FaultKind.RelayKilled)
        {
            return uri;
        }

        // The first relay sends slowly where the fault is to find the source waiting for the result.
        string limit = _relay is null && _fault.Phase is FaultPhase.Result
            ? FormattableString.Invariant($" --max-bandwidth {FaultBed.SlowBytesPerSecond}")
            : "";
        await KillRelayAsync();
        string entrance = FaultBed.NextUri();
        _relay = await _bed.Destination.StartAsync(FormattableString.Invariant(
            $"exec {GuestHost.Rdmamig} relay {entrance} {uri} --json --keepalive-interval {FaultCase.KeepAliveSeconds} --return-path{limit}"));
        await _relay.Events.FirstAsync(said => said.Name == "LISTENING", 0, Deadlines.Start, "LISTENING");
        return entrance;
    }

    /// <summary>Waits until the relay is in a phase.</summary>
    public Task RelaysAsync(string phase) => _relay!.Events.FirstAsync(
        said => said.Name == "PROGRESS" && said.Values.GetProperty("phase").GetString() == phase, 0, Deadlines.Migration, $"{phase} of the relay");

    public Task<FaultReport> ReportAsync(FaultSide side, DateTimeOffset since, TimeSpan limit) =>
        side is FaultSide.Source ? Sender.ReportAsync(since, limit) : Receiver.ReportAsync(since, limit);

    public async ValueTask DisposeAsync()
    {
        await Sender.DisposeAsync();
        await KillRelayAsync();
        await Receiver.DisposeAsync();
    }

    public Task KillRelayAsync() => _relay?.KillAsync() ?? Task.CompletedTask;
}
