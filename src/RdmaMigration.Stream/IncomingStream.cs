using RdmaMigration.Memory;

namespace RdmaMigration.Streams;

/// <summary>
/// Loads one incoming migration stream: decodes it, puts guest memory into the RAM blocks, keeps device state as bytes. Commands and control
/// phases go to the handler. Used once, by one thread.
/// </summary>
internal sealed class IncomingStream : IDisposable
{
    private readonly StreamParser _parser;
    private readonly HandlerTarget _target;
    private bool _isUsed;

    /// <summary>Prepares a load; nothing is read yet.</summary>
    /// <param name="source">Where the bytes come from; stays the caller's.</param>
    /// <param name="handler">Who allocates RAM and answers commands.</param>
    /// <param name="options">Bounds and defaults.</param>
    public IncomingStream(IStreamSource source, IIncomingHandler handler, IncomingStreamOptions options)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentNullException.ThrowIfNull(options);
        _target = new HandlerTarget(handler, options.RamIsFresh);
        _parser = new StreamParser(source, _target, options);
    }

    /// <summary>
    /// How long the source may be silent from here until the stream counts as over: let <see cref="IStreamSource.Read"/> return 0 then. Infinite where it
    /// cannot be over. Readable from any thread.
    /// </summary>
    public TimeSpan Patience => _parser.Opaque.Patience;

    /// <summary>
    /// True while the bytes so far are a whole machine: a vmdescription that lists exactly the device sections ends with the last byte. Any thread.
    /// </summary>
    public bool IsComplete => _parser.Opaque.IsComplete;

    /// <summary>Bytes of guest memory that have come in the stream, zero pages included, each page as often as it came. Readable from any thread.</summary>
    public long RamBytes => _target.RamBytes;

    /// <summary>Bytes of guest memory that have come as zero pages, each as often as it came. Readable from any thread.</summary>
    public long RamZeroBytes => _target.RamZeroBytes;

    /// <summary>Bytes of device state that went to a temporary file.</summary>
    public long SpilledBytes => _parser.Opaque.SpilledBytes;

    /// <summary>Frees the device state of the machine that was loaded.</summary>
    public void Dispose() => _parser.Opaque.Dispose();

    /// <summary>Reads the whole stream.</summary>
    /// <returns>The machine. Its RAM blocks are those that the handler returned; its device state lives as long as this.</returns>
    /// <exception cref="StreamFormatException">The stream is malformed, truncated, too large, lacks pages, or uses what is not supported.</exception>
    /// <exception cref="RamAllocationException">The handler refused the RAM blocks.</exception>
    /// <exception cref="IOException">The source failed.</exception>
    public CapturedStream Load()
    {
        if (_isUsed)
        {
            throw new InvalidOperationException("an IncomingStream loads once");
        }

        _isUsed = true;
        _parser.Run();
        return new CapturedStream(_parser, _target.Blocks, Completeness.CheckAtEnd(_parser));
    }
}
