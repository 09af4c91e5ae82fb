namespace RdmaMigration.Transport;

/// <summary>How a destination is reached over RDMA, and how its RAM is asked for.</summary>
public sealed record RdmaConnectOptions
{
    /// <summary>Asks for all RAM to be registered at the start. A destination may decline; then keys are asked for window by window.</summary>
    public bool PinAll { get; init; }

    /// <summary>
    /// Opens a second connection for the way back. The destination must expect it: QEMU 8.0 or later with return-path on, 7.2 with postcopy-ram, or rdmamig,
    /// which takes it whenever it comes (PROTOCOL.md, Return path).
    /// </summary>
    public bool ReturnPath { get; init; }

    /// <summary>
    /// The most bytes that one request for a key covers, a multiple of 1 MiB. Default 64 MiB: QEMU asks for one MiB at a time and pays a round trip for each; with 64
    /// the round trips no longer show, and the destination need not pin much that it waits for.
    /// </summary>
    public ulong WindowBytes { get; init; } = 64 << 20;

    /// <summary>The longest wait for each step of the connection: address, route, answer. Default 10 s, as QEMU waits for the first two.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest wait for the destination to take the second connection. Default 5 s, as QEMU waits (PROTOCOL.md, Connections).</summary>
    public TimeSpan ReturnPathTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Silence after which the destination is probed with a write of no bytes; zero turns it off. Default 5 s, as for a listener.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a wait for the destination polls before the thread parks. Default 50 µs: a peer that answers at once is met without a wake-up; while waits last
    /// longer than twice that, they park straight away. Zero is event-driven altogether; <see cref="Timeout.InfiniteTimeSpan"/> takes a core for the
    /// shortest round trip.
    /// </summary>
    public TimeSpan SpinTime { get; init; } = TimeSpan.FromMicroseconds(50);
}
