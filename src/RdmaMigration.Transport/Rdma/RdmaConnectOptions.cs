namespace RdmaMigration.Transport;

/// <summary>Options of a connection to a destination over RDMA. Defaults and their reasons are in the engine's table of parameters.</summary>
internal sealed record RdmaConnectOptions
{
    /// <summary>Asks for all RAM to be registered at the start. A destination may decline; then keys are asked for window by window.</summary>
    public required bool PinAll { get; init; }

    /// <summary>
    /// Opens a second connection for the return path. The destination must expect it: QEMU 8.0 or later with return-path on, 7.2 with postcopy-ram, or rdmamig,
    /// which takes it whenever it comes (PROTOCOL.md, Return path).
    /// </summary>
    public required bool ReturnPath { get; init; }

    /// <summary>
    /// The most bytes that one request for a key covers, a multiple of 1 MiB.
    /// </summary>
    public required ulong WindowBytes { get; init; }

    /// <summary>The longest wait for each step of the connection: address, route, answer.</summary>
    public required TimeSpan ConnectTimeout { get; init; }

    /// <summary>The longest wait for the destination to take the second connection.</summary>
    public required TimeSpan ReturnPathTimeout { get; init; }

    /// <summary>
    /// The longest wait for each message of the destination until RAM blocks are exchanged. The answer to a request for pin-all may take longer by
    /// <see cref="RegistrationTime"/>.
    /// </summary>
    public required TimeSpan AnswerTimeout { get; init; }

    /// <summary>Silence after which the destination is probed with a write of no bytes; zero turns it off.</summary>
    public required TimeSpan KeepAliveInterval { get; init; }

    /// <summary>
    /// How long a wait for the destination polls before the thread parks. Zero is event-driven altogether; <see cref="Timeout.InfiniteTimeSpan"/> takes a
    /// core for the shortest round trip.
    /// </summary>
    public required TimeSpan SpinTime { get; init; }
}
