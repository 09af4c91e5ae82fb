using RdmaMigration.Memory;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams;

/// <summary>
/// Loads one incoming migration stream: decodes it, puts guest memory into the RAM blocks, keeps device state as bytes or stages it for the devices of this
/// process's machine. Commands and control phases go to the handler. Used once, by one thread.
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
    /// <param name="devices">The devices of this process's machine, for <see cref="LoadDevices"/>; null for <see cref="Load"/>.</param>
    public IncomingStream(IStreamSource source, IIncomingHandler handler, IncomingStreamOptions options, DeviceList? devices = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentNullException.ThrowIfNull(options);
        _target = new HandlerTarget(handler, options);
        _parser = new StreamParser(source, _target, options, devices);
    }

    /// <summary>
    /// How long the source may be silent from here until the stream counts as over: let <see cref="IStreamSource.Read"/> return 0 then. Infinite where it
    /// cannot be over. Readable from any thread.
    /// </summary>
    public TimeSpan Patience => _parser.Devices is null ? _parser.Opaque.Patience : Timeout.InfiniteTimeSpan;

    /// <summary>The stream has begun: its header and machine type have come. A relay may be silent from here until it sends RAM blocks. Any thread.</summary>
    public bool HasBegun => _parser.HasBegun;

    /// <summary>
    /// True while the bytes so far are a whole machine: a vmdescription that lists exactly the device sections ends with the last byte. Any thread.
    /// </summary>
    public bool IsComplete => _parser.Opaque.IsComplete;

    /// <summary>Bytes of guest memory that have come in the stream, zero pages included, each page as often as it came. Readable from any thread.</summary>
    public long RamBytes => _target.RamBytes;

    /// <summary>Bytes of guest memory that have come as zero pages, each as often as it came. Readable from any thread.</summary>
    public long RamZeroBytes => _target.RamZeroBytes;

    /// <summary>RAM blocks that were compared with the source's digests, and are equal. 0 when the source sent none.</summary>
    public int VerifiedBlocks => _parser.Digests.Compared;

    /// <summary>Bytes of device state that went to a temporary file.</summary>
    public long SpilledBytes => _parser.Opaque.SpilledBytes;

    /// <summary>Frees the device state, unless <see cref="Load"/> has returned it.</summary>
    public void Dispose() => _parser.Opaque.Dispose();

    /// <summary>Reads the whole stream.</summary>
    /// <param name="state">Whether the caller holds the big lock.</param>
    /// <returns>The machine, which the caller owns. Its RAM blocks are those that the handler returned.</returns>
    /// <exception cref="StreamFormatException">The stream is malformed, truncated, too large, lacks pages, or uses what is not supported.</exception>
    /// <exception cref="RamAllocationException">The handler refused the RAM blocks.</exception>
    /// <exception cref="IOException">The source failed.</exception>
    public CapturedStream Load(BigLockState state)
    {
        Run(state);
        return new CapturedStream(_parser, _target.Blocks, Completeness.CheckAtEnd(_parser));
    }

    /// <summary>Reads the whole stream of a machine like this process's own, up to the end marker and the vmdescription. Changes no device.</summary>
    /// <param name="state">Whether the caller holds the big lock.</param>
    /// <returns>The devices in stream order, to be committed in this order.</returns>
    /// <exception cref="StreamFormatException">
    /// The stream is malformed, truncated or too large, lacks pages or a device, or has something that a device of this machine does not take.
    /// </exception>
    /// <exception cref="RamAllocationException">The handler refused the RAM blocks.</exception>
    /// <exception cref="IOException">The source failed.</exception>
    public IReadOnlyList<StagedDevice> LoadDevices(BigLockState state)
    {
        DeviceSections devices = _parser.Devices ?? throw new InvalidOperationException("this stream has no devices of this process");
        Run(state);
        Completeness.CheckAtEnd(_parser);
        return devices.Staged;
    }

    private void Run(BigLockState state)
    {
        if (_isUsed)
        {
            throw new InvalidOperationException("an IncomingStream loads once");
        }

        _isUsed = true;
        _parser.Run(state);
    }
}
