using Microsoft.Extensions.Logging;

namespace RdmaMigration.Machines;

/// <summary>What a machine logs.</summary>
internal static partial class MachineLog
{
    [LoggerMessage(1, LogLevel.Information, "{Line}")]
    public static partial void Tracking(ILogger log, string line);
}
