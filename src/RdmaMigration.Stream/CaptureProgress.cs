namespace RdmaMigration.Streams;

/// <summary>What a <see cref="CaptureWriter"/> is at.</summary>
internal enum CaptureStage
{
    /// <summary>Guest memory, and all that comes before it.</summary>
    Ram,

    /// <summary>Guest memory is with the sink; device state is next.</summary>
    DeviceState,

    /// <summary>
    /// All that a destination loads is with the sink. What follows is the vmdescription, which some machine types never read (FORMAT.md, Writing a
    /// stream).
    /// </summary>
    VmDescription,

    /// <summary>Everything is with the sink.</summary>
    Complete,
}

/// <summary>How far a <see cref="CaptureWriter"/> is.</summary>
/// <param name="RamDone">Bytes of guest RAM that are written, zero pages and holes included.</param>
/// <param name="RamZero">Bytes of guest RAM among them that were written as zero pages; 0 when RAM goes beside the stream.</param>
/// <param name="RamTotal">Bytes of guest RAM in the stream; blocks that are left out do not count.</param>
/// <param name="BytesWritten">Bytes handed to the sink.</param>
/// <param name="Stage">What it is at.</param>
internal readonly record struct CaptureProgress(ulong RamDone, ulong RamZero, ulong RamTotal, ulong BytesWritten, CaptureStage Stage);
