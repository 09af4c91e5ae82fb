using System.Net;
using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// Connects to a destination: address, route, request, answer (PROTOCOL.md, Connections). The calling thread waits; the completion waiter takes over
/// at the end.
/// </summary>
internal static class RdmaConnector
{
    /// <summary>
    /// Writes and control messages together. It is far more than the bytes under way let out at full size; small writes of scattered pages are what needs it.
    /// </summary>
    private const int SendDepth = 512;

    /// <summary>
    /// How often either side's device resends a packet that is not acknowledged, as QEMU asks (PROTOCOL.md, Parameters). Not 7, which soft-RoCE takes for
    /// "for ever": a host that vanished would never be detected.
    /// </summary>
    private const byte Retries = 5;

    /// <summary>How often a waiting thread looks at its cancellation, as the connection manager's descriptor is all that it can wait for.</summary>
    private static readonly TimeSpan s_slice = TimeSpan.FromMilliseconds(50);

    /// <summary>Connects to the first of the URI's addresses that answers.</summary>
    /// <param name="waiter">Watches the connection; it must outlive it.</param>
    /// <param name="uri">Where the destination listens.</param>
    /// <param name="purpose">What the connection is for; a QEMU ignores it.</param>
    /// <param name="options">How.</param>
    /// <param name="answerTimeout">The longest wait for the destination to accept.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <returns>The connection, which the waiter watches and the caller owns, and what the destination answered.</returns>
    /// <exception cref="ConnectFailedException">No address answers as a destination; the message has the step and what to do.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static (RdmaConnection Connection, RdmaCapabilities Reply) Connect(
        CompletionWaiter waiter, RdmaUri uri, ConnectionPurpose purpose, RdmaConnectOptions options, TimeSpan answerTimeout, CancellationToken cancel)
    {
        uri.ThrowIfNoDestination();
        ConnectFailedException? first = null;
        foreach (IPEndPoint address in uri.Resolve(cancel))
        {
            try
            {
                return ConnectTo(waiter, address, purpose, options, answerTimeout, cancel);
            }
            catch (Exception failed) when (failed is VerbsException or TransportException or PlatformNotSupportedException)
            {
                first ??= new ConnectFailedException($"cannot connect to {uri}: {failed.Message}", failed)
                {
                    HasPeersReason = failed is ConnectFailedException { HasPeersReason: true },
                };
            }
        }

        throw first ?? new ConnectFailedException($"cannot connect to {uri}: the host has no address");
    }

    private static (RdmaConnection Connection, RdmaCapabilities Reply) ConnectTo(
        CompletionWaiter waiter, IPEndPoint address, ConnectionPurpose purpose, RdmaConnectOptions options, TimeSpan answerTimeout, CancellationToken cancel)
    {
        EventChannel events = EventChannel.Create();
        CmId? id = null;
        RdmaConnection connection;
        try
        {
            events.SetNonBlocking();
            id = CmId.Create(events);
            id.ResolveAddress(address, options.ConnectTimeout);
            Await(events, CmEventType.AddressResolved, address, options.ConnectTimeout, cancel).Dispose();
            id.ResolveRoute(options.ConnectTimeout);
            Await(events, CmEventType.RouteResolved, address, options.ConnectTimeout, cancel).Dispose();
            connection = RdmaConnection.Create(
                waiter, id, events, new RdmaConnectionOptions(options.KeepAliveInterval, answerTimeout, options.SpinTime, SendDepth));
        }
        catch
        {
            id?.Dispose();
            events.Dispose();
            throw;
        }

        try
        {
            Span<byte> request = stackalloc byte[RdmaCapabilities.Size + ConnectionPurpose.Size];
            new RdmaCapabilities(RdmaCapabilities.CurrentVersion, options.PinAll ? RdmaCapabilities.PinAll : 0).Write(request);
            purpose.Write(request[RdmaCapabilities.Size..]);

            // The RNR retry count that we pass governs the destination's sends: 7 lets its device retry for ever (PROTOCOL.md, Parameters).
            id.Connect(new ConnectionParameters(ResponderResources: 0, InitiatorDepth: 2, Retries, RnrRetryCount: 7), request);

            // While the destination builds its side. It sends nothing before this side has completed the handshake, which the event below does.
            connection.PostReceives();
            RdmaCapabilities reply;
            using (CmEvent established = Await(events, CmEventType.Established, address, answerTimeout, cancel))
            {
                reply = established.PrivateData.Length >= RdmaCapabilities.Size
                    ? RdmaCapabilities.Read(established.PrivateData)
                    : throw new ControlProtocolException(
                        $"the answer of {address} has {established.PrivateData.Length} bytes of private data; expected at least {RdmaCapabilities.Size}: the "
                            + "peer is not a migration destination");
            }

            connection.Watch();
            return (connection, reply);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static CmEvent Await(EventChannel events, CmEventType wanted, IPEndPoint address, TimeSpan timeout, CancellationToken cancel)
    {
        // The connection manager keeps its own time for address and route; this one is for an answer that never comes.
        Deadline deadline = Deadline.After(timeout + s_slice);
        CmEvent? happened;
        while (!events.TryGetEvent(out happened))
        {
            cancel.ThrowIfCancellationRequested();
            if (deadline.HasPassed)
            {
                throw new ConnectFailedException($"{address} did not answer within {timeout.TotalSeconds:0.#} s: it may be busy with another migration");
            }

            events.Wait(s_slice);
        }

        if (happened.Type == wanted)
        {
            return happened;
        }

        using (happened)
        {
            throw happened.Type is CmEventType.Rejected && RejectionText(happened.PrivateData) is { Length: > 0 } reason
                ? new ConnectFailedException($"{address} refused: {reason}") { HasPeersReason = true }
                : happened.ToException(address.ToString());
        }
    }

    /// <summary>Our own listener says in words why it refuses.</summary>
    private static string RejectionText(ReadOnlySpan<byte> privateData)
    {
        ReadOnlySpan<byte> text = privateData.TrimEnd((byte)0);
        return text.ContainsAnyExceptInRange((byte)' ', (byte)'~') ? "" : System.Text.Encoding.ASCII.GetString(text);
    }
}
