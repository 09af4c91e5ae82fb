namespace RdmaMigration.Stream;

/// <summary>How the end of a stream was recognised (protocol E.3).</summary>
public enum StreamEnd
{
    /// <summary>The vmdescription ended exactly where the bytes that had arrived ended.</summary>
    VmDescription,

    /// <summary>The source ended right after the end marker: the machine sends no vmdescription.</summary>
    SourceEnded,
}
