namespace RdmaMigration.Transport.Tests;

/// <summary>Options of channels and listeners, which Transport gives no defaults.</summary>
internal static class TestOptions
{
    private static readonly TimeSpan s_spin = TimeSpan.FromMicroseconds(50);

    public static ListenerOptions Listener { get; } = new()
    {
        KeepAliveInterval = TimeSpan.FromSeconds(5),
        AcceptTimeout = TimeSpan.FromSeconds(10),
        FirstBytesTimeout = TimeSpan.FromSeconds(30),
        ExchangeTimeout = TimeSpan.FromSeconds(30),
        Allow = [],
        Queues = true,
        Backlog = 5,
        SpinTime = s_spin,
    };

    public static RdmaConnectOptions Rdma { get; } = new()
    {
        PinAll = false,
        ReturnPath = false,
        WindowBytes = 64 << 20,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        ReturnPathTimeout = TimeSpan.FromSeconds(5),
        AnswerTimeout = TimeSpan.FromSeconds(60),
        KeepAliveInterval = TimeSpan.FromSeconds(5),
        SpinTime = s_spin,
    };

    public static DescriptorChannelOptions Descriptors { get; } =
        new() { ConnectTimeout = TimeSpan.FromSeconds(30), KeepAliveInterval = TimeSpan.FromSeconds(5) };

    /// <summary>Peers that may connect, as the command line has them.</summary>
    public static AllowedPeers Peers(string text) =>
        AllowedPeers.TryParse(text, out AllowedPeers? peers, out string? error) ? peers : throw new FormatException(error);
}
