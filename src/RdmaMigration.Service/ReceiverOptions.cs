using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>What a receiver does. The limits of a migration, with their defaults, are in <see cref="IncomingOptions"/>.</summary>
public sealed class ReceiverOptions
{
    /// <summary>Where it listens, where machines go, and the limits.</summary>
    public required IncomingOptions Incoming { get; init; }

    /// <summary>
    /// Ends with 0 after the first migration that completes; failed ones before it do not count. Default: true for a target of one file, which the next
    /// capture would replace, and for another host, which waits for one machine; false for a directory.
    /// </summary>
    public bool? UntilCompleted { get; init; }

    /// <summary>The least important level that is logged. Default <see cref="LogLevel.Warning"/>: transitions are reported, not logged.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Warning;

    /// <summary>What contradicts itself, before anything listens.</summary>
    internal IReadOnlyList<string> Check()
    {
        List<string> failures = [];
        if (Incoming.MaxRam == 0)
        {
            failures.Add("max-ram is 0: no machine fits");
        }

        if (Incoming.Target is RelayTarget relay)
        {
            SenderOptions.Check(relay.Outgoing, failures);
        }

        OptionChecks.AboveZero(failures, "timeout", Incoming.Timeout);
        OptionChecks.NotNegative(failures, "keepalive-interval", Incoming.Listener.KeepAliveInterval);
        return failures;
    }
}
