using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Explains to people why a delivery failed. A destination rarely says: QEMU closes, and its own log has the reason.</summary>
/// <param name="peer">The destination.</param>
/// <param name="figures">How far it came.</param>
/// <param name="machineType">The machine type, once known.</param>
/// <param name="ram">The machine's RAM blocks, once there.</param>
/// <param name="verifies">Digests of RAM are sent.</param>
internal sealed class DeliveryFailure(string peer, DeliveryFigures figures, string? machineType, RamBlockList? ram, bool verifies)
{
    /// <summary>What to throw for a failure of the channel: what the destination said, where it said something, else what can be known and guessed.</summary>
    /// <param name="channel">The channel.</param>
    /// <param name="failed">What the channel met.</param>
    /// <param name="returnPath">What the return path met; null for nothing.</param>
    public MigrationException Explain(OutgoingChannel channel, MigrationException failed, MigrationException? returnPath)
    {
        // Either's failure shuts the other down: a shutdown is not the reason, and that the return path ended only where the channel met nothing by itself.
        MigrationException cause = returnPath switch
        {
            null or ConnectionLostException { Loss: ConnectionLoss.Shutdown } => failed,
            ConnectionLostException or ReturnPathClosedException when failed is not ConnectionLostException { Loss: ConnectionLoss.Shutdown } => failed,
            { } said => said,
        };
        return cause switch
        {
            DestinationRefusedException refused => new DestinationRefusedException(
                $"the destination {peer} reported a failure {Where()} ({refused.Message}); {Advice(channel)}", refused),
            ConnectionLostException { Loss: not ConnectionLoss.Shutdown } lost => OfLoss(channel, lost),
            ReturnPathClosedException => Closed(channel, channel.Lost?.DetectedAt ?? Stopwatch.GetTimestamp()),
            _ => cause,
        };
    }

    /// <summary>A command reports by its exit code, and the channel has put that into words.</summary>
    private ConnectionLostException OfLoss(OutgoingChannel channel, ConnectionLostException lost) => lost.Loss switch
    {
        _ when channel.Output.FinishProves => lost,
        ConnectionLoss.Disconnected or ConnectionLoss.PeerError => Closed(channel, lost.DetectedAt),
        _ => new ConnectionLostException(lost.Loss, $"{lost.Message}; {Where()}", lost.DetectedAt),
    };

    private ConnectionLostException Closed(OutgoingChannel channel, long detectedAt) => new(
        ConnectionLoss.Disconnected, $"the destination {peer} closed the connection {Where()} without a reason; {Advice(channel)}", detectedAt);

    private string Where() => figures.Step switch
    {
        DeliveryStep.Setup => "before it took any RAM",
        DeliveryStep.Ram => string.Create(CultureInfo.InvariantCulture, $"after {figures.RamDone} of {ram!.TotalLength} bytes of RAM"),
        DeliveryStep.PreSwitchover => "while the machine was paused before the switchover",
        DeliveryStep.Device => "while device state was sent",
        _ => "after everything was sent",
    };

    private string Advice(OutgoingChannel channel)
    {
        string tls = channel.IsEncrypted ? "a certificate that it does not trust, "
            : channel.Device == TcpUri.SchemeName ? "TLS that it demands, "
            : "";
        string type = machineType is not null ? $"a machine type other than '{machineType}'" : "another machine type";
        string main = ram?.MaxBy(block => block.Length) is { } block
            ? $"a RAM size other than {Size(block)} ('{block.Name}')"
            : "another RAM size";
        string verify = verifies ? "verify is on, which a QEMU does not take, " : "";
        return $"see its log. Usual reasons: {tls}{verify}{type}, {main}, other devices, or a QEMU too old for that machine";
    }

    /// <summary>Exact: blocks are whole KiB.</summary>
    private static string Size(RamBlock block) => block.Length % (1 << 20) == 0
        ? string.Create(CultureInfo.InvariantCulture, $"{block.Length >> 20} MiB")
        : string.Create(CultureInfo.InvariantCulture, $"{block.Length >> 10} KiB");
}
