namespace RdmaMigration.Stream;

/// <summary>How far a <see cref="CaptureWriter"/> is.</summary>
/// <param name="RamDone">Bytes of guest RAM that are written, zero pages and holes included.</param>
/// <param name="RamTotal">Bytes of guest RAM.</param>
/// <param name="BytesWritten">Bytes handed to the sink.</param>
public readonly record struct CaptureProgress(ulong RamDone, ulong RamTotal, ulong BytesWritten);
