namespace RdmaMigration.Streams;

/// <summary>The form in which a captured machine is written. The default is the ordinary stream, for files and one-way channels.</summary>
internal sealed record CaptureWriterOptions
{
    /// <summary>Moves RAM beside the stream; null for pages in the stream.</summary>
    public IRamCarrier? Carrier { get; init; }

    /// <summary><see cref="CaptureWriter.WriteOpening"/> has written the beginning already.</summary>
    public bool IsOpened { get; init; }

    /// <summary>
    /// Sends OPEN_RETURN_PATH and PING right after the configuration, so that the destination answers on the return path. For channels that have one: on others
    /// the load fails (FORMAT.md, Commands). No effect with <see cref="IsOpened"/>.
    /// </summary>
    public bool OpenReturnPath { get; init; }

    /// <summary>Writes digests of RAM, which only a destination of this project takes: it compares them. Reads all of RAM first.</summary>
    public bool Verify { get; init; }

    /// <summary>The run state that is written in place of the machine's own; null for that one. The machine must have one.</summary>
    public string? RunState { get; init; }
}
