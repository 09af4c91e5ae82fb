using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The source of a machine that arrives: whether it is there, and whether it can be told how the migration ends. The migration's thread writes to it.
/// </summary>
internal sealed class IncomingSource(IncomingChannel channel)
{
    private ReturnPath? _returnPath;

    /// <summary>The source, for messages.</summary>
    public string Peer => channel.Peer;

    /// <summary>It learns how the migration ends, and keeps its machine until then.</summary>
    public bool WaitsForResult => _returnPath is not null;

    /// <summary>Why it is lost; null while it is there, as far as is known. Any thread.</summary>
    public ConnectionLostException? Loss => channel.Lost is { Loss: not ConnectionLoss.Shutdown } lost ? lost : null;

    /// <summary>
    /// Watches a source that has sent everything and waits for the result, so that <see cref="Loss"/> also shows when such a source goes away. Until the return
    /// value is disposed nothing may be written to it. Null when it waits for nothing.
    /// </summary>
    public IDisposable? Watch() => _returnPath is { } path ? channel.WatchSource(path.LastPong) : null;

    /// <summary>The source has asked for a return path.</summary>
    /// <param name="arrival">The longest wait for its second connection.</param>
    /// <param name="report">The longest wait for it to take a message.</param>
    /// <exception cref="TransportException">There is none.</exception>
    public void OpenReturnPath(TimeSpan arrival, TimeSpan report)
    {
        ChannelOutput output = channel.WaitForOutput(arrival) ?? throw new ControlProtocolException($"OPEN_RETURN_PATH: {WhyNoReturnPath}");
        _returnPath = new ReturnPath(output, report);
    }

    /// <summary>Lets a source with capability switchover-ack switch over. It waits for the result.</summary>
    /// <exception cref="TransportException">It does not take the message.</exception>
    public void AcknowledgeSwitchover() => _returnPath!.SendSwitchoverAck();

    /// <summary>Answers a PING.</summary>
    /// <exception cref="TransportException">There is no return path, or the source does not take the answer.</exception>
    public void Answer(uint ping)
    {
        ReturnPath path = _returnPath ?? throw new ControlProtocolException($"PING: the source {Peer} has opened no return path");
        path.SendPong(ping);
    }

    /// <summary>Reports the result as far as the protocol can: SHUT on a return path, else ERROR if the source can receive one.</summary>
    public void Report(bool failed, ILogger log)
    {
        try
        {
            if (_returnPath is not null)
            {
                _returnPath.SendShut(failed);
            }
            else if (failed)
            {
                channel.SendError();
            }
        }
        catch (MigrationException unheard)
        {
            EngineLog.SourceNotTold(log, Peer, unheard.Message);
        }
    }

    private string WhyNoReturnPath => channel.Ram is null
        ? $"{Peer} has no return path to the source; turn return-path off there, or migrate over a socket"
        : $"the source {Peer} has opened no second connection";
}
