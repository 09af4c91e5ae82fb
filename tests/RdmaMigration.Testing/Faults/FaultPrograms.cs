namespace RdmaMigration.Testing;

/// <summary>The programs of one case. Disposing kills them.</summary>
internal sealed class FaultPrograms : IAsyncDisposable
{
    private readonly FaultBed _bed;
    private readonly FaultCase _fault;

    public FaultPrograms(FaultBed bed, FaultCase fault)
    {
        _bed = bed;
        _fault = fault;
        Sender = fault.From is MigrationProgram.Qemu ? new QemuSender(bed, fault) : new RdmamigSender(bed, fault);
        Receiver = fault.To is MigrationProgram.Qemu ? new QemuReceiver(bed) : new RdmamigReceiver(bed, fault);
    }

    public ISendingEnd Sender { get; }

    public IReceivingEnd Receiver { get; }

    /// <summary>`rdmamig relay` on the destination's host; null for a case without one.</summary>
    public GuestProgram? Relay { get; private set; }

    /// <summary>Starts the programs that receive.</summary>
    /// <returns>Where the source sends the machine.</returns>
    public async Task<string> ListenAsync()
    {
        string uri = await Receiver.ListenAsync();
        if (_fault.Kind is not FaultKind.RelayKilled)
        {
            return uri;
        }

        await KillRelayAsync();
        string entrance = FaultBed.NextUri();

        // A source with a return path is refused by a relay whose own destination has none.
        string returnPath = _fault.To is MigrationProgram.Rdmamig ? "--return-path" : "";
        Relay = await _bed.Destination.StartAsync(FormattableString.Invariant(
            $"exec {GuestHost.Rdmamig} relay {entrance} {uri} --json --keepalive-interval {FaultCase.KeepAliveSeconds} {returnPath}"));
        await Relay.Events.FirstAsync(said => said.Name == "LISTENING", 0, Deadlines.Start, "LISTENING");
        return entrance;
    }

    public Task KillAsync(FaultSide side) => side switch
    {
        FaultSide.Source => Sender.KillAsync(),
        FaultSide.Destination => Receiver.KillAsync(),
        _ => KillRelayAsync(),
    };

    public Task<FaultReport> ReportAsync(FaultSide side, DateTimeOffset since, TimeSpan limit) =>
        side is FaultSide.Source ? Sender.ReportAsync(since, limit) : Receiver.ReportAsync(since, limit);

    public async ValueTask DisposeAsync()
    {
        await Sender.DisposeAsync();
        await KillRelayAsync();
        await Receiver.DisposeAsync();
    }

    private Task KillRelayAsync() => Relay?.KillAsync() ?? Task.CompletedTask;
}
