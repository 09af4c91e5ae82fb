using System.Net;

namespace RdmaMigration.Transport;

/// <summary>What a listener grants and how long it waits.</summary>
public sealed record ListenerOptions
{
    /// <summary>
    /// Silence after which the peer is probed, over RDMA with a write of no bytes, over TCP by the kernel (in whole seconds); zero turns it off. Default 5 s:
    /// with the transport's own retries of some 15 s on soft-RoCE, and three probes on TCP, a vanished host is found in about 20 s, and an idle connection
    /// costs one packet in 5 s.
    /// </summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Over RDMA, how long a peer may take from our accept to its last message of the connection set-up. Default 10 s, as QEMU waits for route and address.</summary>
    public TimeSpan AcceptTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Over a socket, how long a connection may take to begin its stream. One that takes longer is closed and is no migration. Default 30 s: a source sends its
    /// first bytes only when it has started to track its dirty memory.
    /// </summary>
    public TimeSpan FirstBytesTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Networks that may connect by RDMA or TCP; empty admits everyone. There is no other access control.</summary>
    public IReadOnlyList<IPNetwork> Allow { get; init; } = [];

    /// <summary>
    /// While a migration runs, other sources that come by a socket wait. Default true. False where only one machine is taken: they are reset or find nobody listening,
    /// as with a QEMU, and keep their machines. Over RDMA they wait in any case, since nothing is taken from them.
    /// </summary>
    public bool Queues { get; init; } = true;

    /// <summary>Sources that may wait while a migration runs; the next ones are rejected. Default 5, QEMU's listen backlog (PROTOCOL.md, Connections).</summary>
    public int Backlog { get; init; } = 5;

    /// <summary>
    /// How long a wait for the source polls before the thread parks. Default 50 µs: a peer that answers at once is met without a wake-up; while waits last
    /// longer than twice that, they park straight away. Zero is event-driven altogether; <see cref="Timeout.InfiniteTimeSpan"/> takes a core for the
    /// shortest round trip.
    /// </summary>
    public TimeSpan SpinTime { get; init; } = TimeSpan.FromMicroseconds(50);
}
