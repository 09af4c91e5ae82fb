namespace RdmaMigration.Cli.Remote;

/// <summary>What <c>rdmamig migrate</c> is asked for.</summary>
/// <param name="Uri">Where the machine goes, as the process reads it.</param>
/// <param name="Settings">Set before.</param>
/// <param name="PausesBeforeSwitchover">In pre-switchover, waits for a line on standard input or for another client's migrate-continue.</param>
internal sealed record MigrateRequest(string Uri, MonitorSettings Settings, bool PausesBeforeSwitchover);
