using RdmaMigration.Linux;

namespace RdmaMigration.Qmp.Client;

/// <summary>The monitor answered a command with an error. The connection goes on.</summary>
/// <param name="path">The monitor's socket.</param>
/// <param name="command">The command.</param>
/// <param name="errorClass">The error's class, as it came; a newer peer may have classes of its own.</param>
/// <param name="description">The peer's description.</param>
internal sealed class QmpCommandException(string path, string command, string errorClass, string description)
    : MigrationException(FailureReason.Refused, $"{command} at '{path}': {description} ({errorClass})")
{
    /// <summary>The class of a command that the peer does not have.</summary>
    public const string NotFound = nameof(QmpErrorClass.CommandNotFound);

    /// <summary>The monitor's socket.</summary>
    public string Path => path;

    /// <summary>The command.</summary>
    public string Command => command;

    /// <summary>The error's class.</summary>
    public string ErrorClass => errorClass;

    /// <summary>The peer's description.</summary>
    public string Description => description;
}
