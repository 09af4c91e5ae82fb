namespace RdmaMigration.Cli.Guest;

/// <summary>What a guest does at a moment.</summary>
/// <param name="IsRunning">It runs here.</param>
/// <param name="BytesWritten">Bytes written in this process.</param>
/// <param name="Rate">Bytes a second since the last figures.</param>
/// <param name="ThrottlePercent">The share of the time in which a migration keeps it from running.</param>
internal sealed record GuestFigures(bool IsRunning, long BytesWritten, double Rate, int ThrottlePercent);
