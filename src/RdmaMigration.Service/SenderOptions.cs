using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>What a sender does. The limits of a migration, with their defaults, are in <see cref="OutgoingOptions"/>.</summary>
public sealed class SenderOptions
{
    /// <summary>The capture. It is read and nothing else.</summary>
    public required string File { get; init; }

    /// <summary>The destination, and the limits.</summary>
    public required OutgoingOptions Outgoing { get; init; }

    /// <summary>The least important level that is logged. Default <see cref="LogLevel.Warning"/>: transitions are reported, not logged.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Warning;

    /// <summary>What contradicts itself, before anything is read.</summary>
    internal IReadOnlyList<string> Check()
    {
        List<string> failures = [];
        if (File.Length == 0)
        {
            failures.Add("file is empty: it must name a capture");
        }

        Check(Outgoing, failures);
        return failures;
    }

    /// <summary>What contradicts itself in the options of an outgoing migration.</summary>
    internal static void Check(OutgoingOptions outgoing, List<string> failures)
    {
        if (outgoing.Uri is HostUri { Lacks: { } lack })
        {
            failures.Add($"{lack}, and is a destination");
        }

        if (outgoing.MaxBandwidth <= 0)
        {
            failures.Add($"max-bandwidth is {outgoing.MaxBandwidth}: it must be above 0, or absent for no limit");
        }

        if (outgoing.WindowBytes is { } window && (window == 0 || window % ChunkBytes != 0))
        {
            failures.Add($"window is {window} bytes: it must be a multiple of {ChunkBytes}, one chunk");
        }

        if (outgoing.Uri is not RdmaUri && (outgoing.PinAll || outgoing.ReturnPath || outgoing.WindowBytes is not null))
        {
            failures.Add($"pin-all, return-path and window are for rdma:, and the destination is {outgoing.Uri}");
        }

        OptionChecks.AboveZero(failures, "timeout", outgoing.Timeout);
        OptionChecks.AboveZero(failures, "confirm-timeout", outgoing.ConfirmTimeout);
        OptionChecks.AboveZero(failures, "connect-timeout", outgoing.ConnectTimeout);
        OptionChecks.NotNegative(failures, "keepalive-interval", outgoing.KeepAliveInterval);
    }

    /// <summary>A chunk (protocol A.1).</summary>
    private const ulong ChunkBytes = 1 << 20;
}
