using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>What a receiver does. The limits of a migration, with their defaults, are in <see cref="IncomingOptions"/>.</summary>
public sealed class ReceiverOptions
{
    /// <summary>Where it listens, where captures go, and the limits.</summary>
    public required IncomingOptions Incoming { get; init; }

    /// <summary>
    /// Ends with 0 after the first capture that is complete; failed migrations before it do not count. Default: true for a
    /// target of one file, which the next capture would replace, false for a directory.
    /// </summary>
    public bool? UntilCompleted { get; init; }

    /// <summary>The least important level that is logged. Default <see cref="LogLevel.Warning"/>: transitions are reported, not logged.</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Warning;
}

/// <summary>Checks the options before anything listens.</summary>
internal sealed class ReceiverOptionsValidator : IValidateOptions<ReceiverOptions>
{
    public ValidateOptionsResult Validate(string? name, ReceiverOptions options)
    {
        List<string> failures = [];
        IncomingOptions incoming = options.Incoming;
        if (incoming.MaxRam == 0)
        {
            failures.Add("max-ram is 0: no machine fits");
        }

        if (incoming.Timeout <= TimeSpan.Zero)
        {
            failures.Add($"timeout is {incoming.Timeout}: it must be above 0, or absent for no limit");
        }

        if (incoming.Listener.KeepAliveInterval < TimeSpan.Zero)
        {
            failures.Add($"keepalive-interval is {incoming.Listener.KeepAliveInterval}: it must be above 0, or 0 to turn probes off");
        }

        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
