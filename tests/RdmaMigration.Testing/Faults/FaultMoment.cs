namespace RdmaMigration.Testing;

/// <summary>The migration left the phase before the fault took effect. Another attempt can succeed.</summary>
internal sealed class PhaseMissedException(QmpEvent next)
    : InvalidOperationException($"the phase ended before the fault took effect: the source reported {next} at {next.Seen:O}");

/// <summary>
/// Brings a migration into the phase in which its fault begins. Phases that are too short to hit are stretched: netem delays what the destination's host sends,
/// so each answer that the source waits for takes <see cref="DelayMilliseconds"/>.
/// </summary>
internal sealed class FaultMoment(FaultBed bed, FaultCase fault, FaultPrograms programs)
{
    /// <summary>Devices send a packet again after 2 s, five times.</summary>
    private const int DelayMilliseconds = 3000;

    /// <summary>What a program reports reaches the test within this time.</summary>
    private static readonly TimeSpan s_reportDelay = TimeSpan.FromSeconds(0.5);

    /// <summary>Runs on the destination's host and executes a line at once: starting a program takes seconds on a busy emulated host.</summary>
    private GuestProgram? _tc;

    private bool _isStopped;
    private DateTimeOffset? _struck;

    /// <summary>The fault begins before the source connects.</summary>
    public bool IsBefore => fault.Phase is FaultPhase.Throughout or FaultPhase.Connecting;

    /// <summary>Starts the migration and returns when it is in the phase.</summary>
    public Task ReachAsync(string uri) => fault.Kind is FaultKind.RelayKilled ? ReachRelayAsync(uri) : ReachDirectlyAsync(uri);

    /// <summary>The fault has taken effect.</summary>
    public void Strike() => _struck = DateTimeOffset.UtcNow;

    /// <summary>Call it after both sides have reported.</summary>
    /// <exception cref="PhaseMissedException">The migration had left the phase before the fault.</exception>
    public void ThrowIfMissed()
    {
        if (_struck is { } struck && fault.Kind is not FaultKind.RelayKilled && fault.Phase is not FaultPhase.Ram
            && programs.Sender.FirstAfter(fault.Phase) is { } next && next.Seen < struck + s_reportDelay)
        {
            throw new PhaseMissedException(next);
        }
    }

    /// <summary>Ends the delay. A second call does nothing.</summary>
    public async Task EndAsync()
    {
        if (_isStopped)
        {
            _isStopped = false;
            await programs.Receiver.StopAsync(stopped: false);
        }

        if (_tc is not null)
        {
            await _tc.KillAsync();
            _tc = null;

            // A host that was killed has lost its delay.
            await bed.Destination.RunAsync($"tc qdisc del dev {FaultInjection.Device} root || true");
        }
    }

    private async Task ReachDirectlyAsync(string uri)
    {
        switch (fault.Phase)
        {
            case FaultPhase.Setup:
                await PrepareDelayAsync(DelayMilliseconds);
                await programs.Sender.SendAsync(uri, fault.Phase);
                await programs.Receiver.AcceptsAsync();
                break;
            case FaultPhase.Device or FaultPhase.Result when fault.From is MigrationProgram.Rdmamig:
                // The device sends half a MiB of RAM, and waits until the destination acknowledges it.
                await PrepareDelayAsync(milliseconds: 0);
                await programs.Sender.SendAsync(uri, fault.Phase);
                await programs.Sender.RamEndsAsync();
                await DelayAsync(DelayMilliseconds);
                await programs.Sender.ReachAsync(fault.Phase);
                break;
            default:
                await programs.Sender.SendAsync(uri, fault.Phase);
                await programs.Sender.ReachAsync(fault.Phase);
                break;
        }
    }

    private async Task ReachRelayAsync(string uri)
    {
        if (fault.Phase is FaultPhase.Setup)
        {
            // The destination does not accept, so the relay knows the machine and has not asked for its RAM.
            _isStopped = true;
            await programs.Receiver.StopAsync(stopped: true);
            await programs.Sender.SendAsync(uri, fault.Phase);
            await programs.RelaysAsync("connecting");
            return;
        }

        await programs.Sender.SendAsync(uri, fault.Phase is FaultPhase.Ram ? fault.Phase : FaultPhase.Throughout);
        await programs.Sender.ReachAsync(fault.Phase);
        if (fault.Phase is FaultPhase.Result)
        {
            await programs.RelaysAsync("sending");
        }
    }

    private async Task PrepareDelayAsync(int milliseconds)
    {
        _tc = await bed.Destination.StartAsync("exec tc -batch -");
        await DelayAsync(milliseconds);

        // The kernel loads netem.
        await bed.Destination.RunAsync($"until tc qdisc show dev {FaultInjection.Device} | grep -q netem; do sleep 0.1; done");
    }

    private Task DelayAsync(int milliseconds) => _tc!.WriteAsync(FormattableString.Invariant(
        $"qdisc replace dev {FaultInjection.Device} root netem limit {FaultInjection.QueuedPackets} delay {milliseconds}ms"));
}
