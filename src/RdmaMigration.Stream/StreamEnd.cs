namespace RdmaMigration.Streams;

/// <summary>How the end of a stream was recognised (FORMAT.md, End of stream).</summary>
internal enum StreamEnd
{
    /// <summary>
    /// A vmdescription that lists exactly the device sections before it; or one that does not, and the source closed right behind it.
    /// </summary>
    VmDescription,

    /// <summary>
    /// The source ended, or was silent for long, right after the end marker: the machine sends no vmdescription. With section footers the last one was
    /// checked; without them (machine types of QEMU 2.3 and older) a source that broke off after a zero byte of device state looks the same.
    /// </summary>
    SourceEnded,
}
