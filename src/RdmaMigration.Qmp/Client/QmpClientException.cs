using RdmaMigration.Linux;

namespace RdmaMigration.Qmp.Client;

/// <summary>A monitor cannot be reached, does not answer, has disconnected, or violates the protocol. The connection is of no further use.</summary>
/// <param name="reason">Unreachable, Timeout, Disconnected or Protocol.</param>
/// <param name="path">The monitor's socket.</param>
/// <param name="step">What was tried: connect, greeting, or a command.</param>
/// <param name="message">What happened, then what to do.</param>
/// <param name="inner">The cause.</param>
internal sealed class QmpClientException(FailureReason reason, string path, string step, string message, Exception? inner = null)
    : MigrationException(reason, message, inner)
{
    /// <summary>The monitor's socket.</summary>
    public string Path => path;

    /// <summary>What was tried: connect, greeting, or a command.</summary>
    public string Step => step;
}
