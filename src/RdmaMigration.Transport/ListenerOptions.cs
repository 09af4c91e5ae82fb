namespace RdmaMigration.Transport;

/// <summary>What a listener grants and how long it waits. Defaults and their reasons are in the engine's table of parameters.</summary>
internal sealed record ListenerOptions
{
    /// <summary>
    /// Silence after which the peer is probed, over RDMA with a write of no bytes, over TCP by the kernel (in whole seconds); zero turns it off.
    /// </summary>
    public required TimeSpan KeepAliveInterval { get; init; }

    /// <summary>Over RDMA, how long a peer may take from our accept to its last message of the connection set-up.</summary>
    public required TimeSpan AcceptTimeout { get; init; }

    /// <summary>
    /// Over a socket, how long a connection may take to begin its stream, a TLS handshake included. One that takes longer is closed and is no migration.
    /// </summary>
    public required TimeSpan FirstBytesTimeout { get; init; }

    /// <summary>
    /// Over RDMA, the longest wait for each message of the source while RAM blocks are exchanged. With pin-all the last one may take longer by
    /// <see cref="RegistrationTime"/>.
    /// </summary>
    public required TimeSpan ExchangeTimeout { get; init; }

    /// <summary>Who may connect by RDMA or TCP; empty admits everyone. There is no other access control.</summary>
    public required IReadOnlyList<AllowedPeers> Allow { get; init; }

    /// <summary>
    /// TLS for sources that come by TCP: one that begins without it is refused. Null: one that begins with it is refused. Other listeners have none in any
    /// case.
    /// </summary>
    public TlsOptions? Tls { get; init; }

    /// <summary>
    /// While a migration runs, other sources wait. False where only one machine is taken: over RDMA they are rejected, at a socket they are reset or find
    /// nobody listening, and they keep their machines.
    /// </summary>
    public required bool Queues { get; init; }

    /// <summary>Sources that may wait while a migration runs; the next ones are rejected.</summary>
    public required int Backlog { get; init; }

    /// <summary>
    /// How long a wait for the source polls before the thread parks. Zero is event-driven altogether; <see cref="Timeout.InfiniteTimeSpan"/> takes a core for
    /// the shortest round trip.
    /// </summary>
    public required TimeSpan SpinTime { get; init; }
}
