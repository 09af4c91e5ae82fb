using System.Globalization;
using System.Text.RegularExpressions;

namespace RdmaMigration.Testing;

/// <summary>Starts and ends the fault of a case.</summary>
internal sealed partial class FaultInjection(FaultBed bed, FaultCase fault, FaultPrograms programs)
{
    private const string Device = "roce0";

    /// <summary>A migration is some thousand packets.</summary>
    private const int LeastPackets = 1000;

    /// <summary>What the destination's memory cgroup leaves. The machine needs more.</summary>
    private const int SpareMebibytes = FaultBed.Mebibytes / 2;

    /// <summary>More packets than can be under way, so that netem drops none for lack of space.</summary>
    private const int QueuedPackets = 100_000;

    private bool _isOn;

    private GuestHost Host => bed.HostAt(fault.Side);

    public async Task StrikeAsync()
    {
        _isOn = true;
        switch (fault.Kind)
        {
            case FaultKind.RelayKilled:
                await programs.KillRelayAsync();
                break;
            case FaultKind.DiskFull:
                await Host.RunAsync($"mount -o remount,size={FaultBed.Mebibytes / 4}M {FaultBed.Captures}");
                break;
            case FaultKind.MemoryLimit:
                await Host.RunAsync(string.Create(
                    CultureInfo.InvariantCulture,
                    $"echo $(($(< {FaultBed.Group}/memory.current) + ({SpareMebibytes} << 20))) > {FaultBed.Group}/memory.max"));
                break;
            default:
                await OnBothAsync(FormattableString.Invariant($"tc qdisc replace dev {Device} root netem limit {QueuedPackets} loss 1%"));
                break;
        }
    }

    /// <summary>Proves that a bearable fault was in effect. Null if the outcome of the case proves it.</summary>
    /// <exception cref="InvalidOperationException">It was not in effect.</exception>
    public async Task<string?> ProveAsync()
    {
        if (fault.Kind is not FaultKind.Loss)
        {
            return null;
        }

        string statistics = await bed.Source.RunAsync($"tc -s qdisc show dev {Device}");
        Match sent = Sent().Match(statistics);
        return sent.Success && Number(sent, "packets") >= LeastPackets && Number(sent, "dropped") > 0
            ? sent.Value
            : throw new InvalidOperationException($"netem lost no packets of the migration: {statistics}");
    }

    /// <summary>Ends the fault. A second call does nothing.</summary>
    public async Task EndAsync()
    {
        if (!_isOn)
        {
            return;
        }

        _isOn = false;
        switch (fault.Kind)
        {
            case FaultKind.DiskFull:
                await Host.RunAsync($"mount -o remount,size=50% {FaultBed.Captures}");
                break;
            case FaultKind.MemoryLimit:
                await Host.RunAsync($"echo max > {FaultBed.Group}/memory.max");
                break;
            case FaultKind.Loss:
                await OnBothAsync($"tc qdisc del dev {Device} root");
                break;
            default:
                break;
        }
    }

    private async Task OnBothAsync(string command)
    {
        foreach (GuestHost host in bed.Hosts)
        {
            await host.RunAsync(command);
        }
    }

    private static long Number(Match sent, string group) => long.Parse(sent.Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"Sent \d+ bytes (?<packets>\d+) pkt \(dropped (?<dropped>\d+)")]
    private static partial Regex Sent();
}
