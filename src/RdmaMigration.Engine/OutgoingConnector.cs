using Microsoft.Extensions.Logging;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Opens channels of every kind. RDMA's share one completion waiter, which begins with the first of them.</summary>
/// <param name="log">For what RDMA devices report.</param>
internal sealed class OutgoingConnector(ILogger log) : IDisposable
{
    private CompletionWaiter? _waiter;

    /// <summary>Connects to the destination. Blocks; one thread at a time.</summary>
    /// <exception cref="ConnectFailedException">It cannot be reached, or does not take the connection.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public OutgoingChannel Open(OutgoingOptions options, CancellationToken cancel)
    {
        if (options.Uri is not RdmaUri rdma)
        {
            return DescriptorOutgoingChannel.Open(options.Uri, options.Parameters.ForDescriptors(options.Source), cancel);
        }

        return RdmaOutgoingChannel.Connect(_waiter ??= new CompletionWaiter(log), rdma, options.Parameters.ForRdma(), cancel);
    }

    /// <summary>Ends the completion waiter. Its channels are disposed.</summary>
    public void Dispose() => _waiter?.Dispose();
}
