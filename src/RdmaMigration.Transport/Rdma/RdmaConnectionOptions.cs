namespace RdmaMigration.Transport;

/// <summary>Time limits and the queue depth of one RDMA connection.</summary>
/// <param name="KeepAliveInterval">Silence after which the peer is probed; zero for never.</param>
/// <param name="SetupTimeout">The longest wait for the peer to complete the connection.</param>
/// <param name="SpinTime">How long a wait polls before it parks; zero for not at all, negative for always.</param>
/// <param name="SendDepth">Requests that may be outstanding in the send queue.</param>
internal sealed record RdmaConnectionOptions(TimeSpan KeepAliveInterval, TimeSpan SetupTimeout, TimeSpan SpinTime, int SendDepth);
