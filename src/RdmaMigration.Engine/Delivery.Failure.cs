using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <content>Why it failed, in words for people. A destination rarely says: QEMU closes, and its own log has the reason.</content>
internal sealed partial class Delivery
{
    /// <summary>What is not known when it ends at this moment, to be said behind why it ended; null when nothing is open. Any thread.</summary>
    public string? OpenQuestion => Step >= DeliveryStep.Confirming
        ? $"; the destination {Peer} was sent everything: whether the machine is there only it can tell"
        : null;

    /// <summary>What to throw for a failure of the channel: what the destination said, where it said something, else what can be known and guessed.</summary>
    private MigrationException Explain(OutgoingChannel channel, MigrationException failed)
    {
        // Either's failure shuts the other down: a shutdown is not the reason, and that the way back ended only where the channel met nothing by itself.
        MigrationException cause = _returnPath?.Failure switch
        {
            null or ConnectionLostException { Loss: ConnectionLoss.Shutdown } => failed,
            ConnectionLostException or ReturnPathClosedException when failed is not ConnectionLostException { Loss: ConnectionLoss.Shutdown } => failed,
            { } said => said,
        };
        return cause switch
        {
            DestinationRefusedException refused => new DestinationRefusedException(
                $"the destination {Peer} says that it failed {Where()} ({refused.Message}); {Advice()}", refused),
            ConnectionLostException { Loss: not ConnectionLoss.Shutdown } lost => OfLoss(lost),
            ReturnPathClosedException => Closed(channel.Lost?.DetectedAt ?? Stopwatch.GetTimestamp()),
            _ => cause,
        };

        // A command tells by its exit code, and the channel has put that into words.
        MigrationException OfLoss(ConnectionLostException lost) => lost.Loss switch
        {
            _ when channel.Output.FinishProves => lost,
            ConnectionLoss.Disconnected or ConnectionLoss.PeerError => Closed(lost.DetectedAt),
            _ => new ConnectionLostException(lost.Loss, $"{lost.Message}; {Where()}", lost.DetectedAt),
        };
    }

    private ConnectionLostException Closed(long detectedAt) => new(
        ConnectionLoss.Disconnected, $"the destination {Peer} closed the connection {Where()} without saying why; {Advice()}", detectedAt);

    private string Where() => Step switch
    {
        DeliveryStep.Setup => "before it took any RAM",
        DeliveryStep.Ram => string.Create(CultureInfo.InvariantCulture, $"after {RamDone()} of {_machine!.RamBlocks.TotalLength} bytes of RAM"),
        DeliveryStep.Device => "while device state was sent",
        _ => "after everything was sent",
    };

    private string Advice()
    {
        string machine = _configuration?.MachineType is { } type ? $"a machine type other than '{type}'" : "another machine type";
        string main = _machine?.RamBlocks.MaxBy(block => block.Length) is { } block
            ? $"a RAM size other than {Size(block)} ('{block.Name}')"
            : "another RAM size";
        return $"its own log has the reason. Usual ones: {machine}, {main}, other devices, or a QEMU too old for that machine";
    }

    /// <summary>Exact: blocks are whole KiB.</summary>
    private static string Size(RamBlock block) => block.Length % (1 << 20) == 0
        ? string.Create(CultureInfo.InvariantCulture, $"{block.Length >> 20} MiB")
        : string.Create(CultureInfo.InvariantCulture, $"{block.Length >> 10} KiB");
}
