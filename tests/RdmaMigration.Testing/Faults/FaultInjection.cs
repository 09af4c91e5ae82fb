using System.Globalization;
using System.Text.RegularExpressions;

namespace RdmaMigration.Testing;

/// <summary>Starts and ends the fault of a case.</summary>
internal sealed partial class FaultInjection(FaultBed bed, FaultCase fault, FaultPrograms programs)
{
    internal const string Device = "roce0";

    /// <summary>The MTU of the network interface: RDMA's path MTU is the largest power of two that fits, behind 80 bytes of headers.</summary>
    private const int UsualMtu = 9000;

    /// <summary>The smallest MTU that IPv6 allows.</summary>
    private const int SmallMtu = 1280;

    /// <summary>A migration is some thousand packets.</summary>
    private const int LeastPackets = 1000;

    /// <summary>What the destination's memory cgroup leaves. The machine needs more.</summary>
    private const int SpareMebibytes = FaultBed.Mebibytes / 2;

    /// <summary>More packets than can be under way, so that netem drops none for lack of space.</summary>
    internal const int QueuedPackets = 100_000;

    private bool _isOn;
    private GuestProgram? _deletion;

    private GuestHost Host => bed.HostAt(fault.Side);

    /// <summary>Arguments of netem. With a rate, netem keeps the order of packets whose delay varies.</summary>
    private string? Netem => fault.Kind switch
    {
        FaultKind.Loss => "loss 1%",
        FaultKind.Delay => "delay 5ms 2ms rate 1gbit",
        FaultKind.Reordering => "delay 5ms reorder 1%",
        FaultKind.Duplication => "duplicate 1%",
        _ => null,
    };

    public async Task StrikeAsync()
    {
        _isOn = true;
        switch (fault.Kind)
        {
            case FaultKind.Unplugged:
                await bed.Wire.LinkAsync(up: false, Host.Letter);
                break;
            case FaultKind.LinkDown:
                await Host.RunAsync($"ip link set {Device} down");
                break;
            case FaultKind.HostHung:
                Host.Freeze(frozen: true);
                break;
            case FaultKind.HostKilled:
                await Host.KillAsync();
                break;
            case FaultKind.DeviceRemoved:
                await RemoveDeviceAsync();
                break;
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
            case FaultKind.PathMtu:
                await SetMtuAsync(SmallMtu);
                break;
            case FaultKind.Ipv6:
                break;
            default:
                await OnBothAsync(FormattableString.Invariant($"tc qdisc replace dev {Device} root netem limit {QueuedPackets} {Netem}"));
                break;
        }
    }

    /// <summary>Proves that a bearable fault was in effect. Null if the outcome of the case proves it.</summary>
    /// <exception cref="InvalidOperationException">It was not in effect.</exception>
    public async Task<string?> ProveAsync()
    {
        if (fault.Kind is FaultKind.PathMtu)
        {
            string device = await bed.Source.RunAsync("ibv_devinfo -d rxe0 | grep active_mtu");
            return device.Contains("1024", StringComparison.Ordinal)
                ? device.Trim()
                : throw new InvalidOperationException($"the path MTU is not 1024: {device}");
        }

        if (Netem is null)
        {
            return null;
        }

        string statistics = await bed.Source.RunAsync($"tc -s qdisc show dev {Device}");
        Match sent = Sent().Match(statistics);
        return sent.Success && Number(sent, "packets") >= LeastPackets && (fault.Kind is not FaultKind.Loss || Number(sent, "dropped") > 0)
            ? $"{Netem}: {sent.Value}"
            : throw new InvalidOperationException($"netem '{Netem}' did not see the migration: {statistics}");
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
            case FaultKind.Unplugged:
                await bed.Wire.LinkAsync(up: true, Host.Letter);
                await ReachesOtherAsync();
                break;
            case FaultKind.LinkDown:
                // The kernel removed the IPv6 address with the link.
                await Host.RunAsync($"ip link set {Device} up && ip address replace fd77::{FaultBed.NumberOf(Host)}/64 dev {Device} nodad");
                await ReachesOtherAsync();

                // After a connection has ended on a link that is down, rxe accepts no connection request until the device is added again (Linux 6.1, 6.12).
                await RemoveDeviceAsync();
                await AddDeviceAsync();
                break;
            case FaultKind.HostHung:
                Host.Freeze(frozen: false);
                break;
            case FaultKind.HostKilled:
                await bed.RebootAsync(fault.Side);
                break;
            case FaultKind.DeviceRemoved:
                await AddDeviceAsync();
                break;
            case FaultKind.PathMtu:
                await SetMtuAsync(UsualMtu);
                break;
            default:
                if (Netem is not null)
                {
                    await OnBothAsync($"tc qdisc del dev {Device} root");
                }

                break;
        }
    }

    /// <summary>Returns when the host reaches the other one.</summary>
    private async Task ReachesOtherAsync()
    {
        int other = FaultBed.NumberOf(fault.Side is FaultSide.Source ? bed.Destination : bed.Source);
        await Host.RunAsync(FormattableString.Invariant($"for i in $(seq 30); do busybox ping -q -c 1 -W 1 10.77.0.{other} && exit; done; exit 1"));
    }

    /// <summary>Begins the removal. It ends when every program has freed what it has on the device.</summary>
    private async Task RemoveDeviceAsync() => _deletion = await Host.StartAsync("rdma link delete rxe0");

    private async Task AddDeviceAsync()
    {
        // QEMU can keep the device until it ends.
        if (fault is { Side: FaultSide.Source, From: MigrationProgram.Qemu })
        {
            await programs.Sender.DisposeAsync();
        }

        if (fault is { Side: FaultSide.Destination, To: MigrationProgram.Qemu })
        {
            await programs.Receiver.DisposeAsync();
        }

        int code = await _deletion!.ExitAsync(Deadlines.Answer);
        if (code != 0)
        {
            throw new InvalidOperationException($"rdma link delete ended with {code}: {_deletion.Text}");
        }

        await Host.RunAsync($"rdma link add rxe0 type rxe netdev {Device}");
    }

    private Task SetMtuAsync(int mtu) => OnBothAsync(FormattableString.Invariant($"ip link set {Device} mtu {mtu}"));

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
