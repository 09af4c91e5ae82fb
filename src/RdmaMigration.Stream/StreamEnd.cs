namespace RdmaMigration.Stream;

/// <summary>How the end of a stream was recognised (protocol E.3).</summary>
public enum StreamEnd
{
    /// <summary>The vmdescription ended exactly where the bytes that had arrived ended.</summary>
    VmDescription,

    /// <summary>
    /// The source ended right after the end marker: the machine sends no vmdescription. With section footers the last one was checked; without
    /// them (machine types of QEMU 2.3 and older) a source that broke off after a zero byte of device state looks the same.
    /// </summary>
    SourceEnded,
}
