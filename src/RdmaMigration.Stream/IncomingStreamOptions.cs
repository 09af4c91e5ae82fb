using System.Numerics;

namespace RdmaMigration.Streams;

/// <summary>
/// Bounds of an incoming stream, and what the reader knows of its source. Defaults and their reasons are in the engine's table of parameters.
/// </summary>
internal sealed record IncomingStreamOptions
{
    /// <summary>
    /// The most bytes of device state (sections other than "ram", and the vmdescription) that are kept, all together.
    /// </summary>
    public required ulong MaxDeviceState { get; init; }

    /// <summary>
    /// The handler's RAM blocks read as zero, and until the first HOOK nothing but this load writes to them. Zero pages of memory that no page has come for are
    /// then skipped without asking the kernel, and stay holes. Default false.
    /// </summary>
    public bool RamIsFresh { get; init; }

    /// <summary>
    /// The source closes when it has sent everything, unless it opened a return path: QEMU does. Then that ends the stream, or <see cref="SilenceTimeout"/>.
    /// False where a source may wait for the destination to close: RDMA. Default true.
    /// </summary>
    public bool SourceCloses { get; init; } = true;

    /// <summary>
    /// The longest silence of a source that should close, behind a vmdescription that proves that the machine is complete: a writer may keep its end of a
    /// pipe open. Default infinite.
    /// </summary>
    public TimeSpan SilenceTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>
    /// The stream may be at the beginning of something much larger, a disk or a sparse file, whose rest is not read. Default false: the source's close ends it.
    /// </summary>
    public bool MayBeDisk { get; init; }

    /// <summary>The most bytes of device state that stay in memory; what is more goes to a temporary file.</summary>
    public required long DeviceStateInMemory { get; init; }

    /// <summary>
    /// The most bytes of memory for the record of which pages have come. The source announces any length of RAM, and a page that comes alone takes 640 bytes.
    /// Default: no bound.
    /// </summary>
    public ulong MaxPageRecord { get; init; } = ulong.MaxValue;

    /// <summary>Replaces <see cref="MaxPageRecord"/> once that is reached, if it is more: to ask the host costs time. Default null: nothing does.</summary>
    public Func<ulong>? MaxPageRecordOfHost { get; init; }

    /// <summary>Looked at while RAM is compared with the source's digests, when nothing is read.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Where that temporary file is made. Default null: TMPDIR, else /tmp.</summary>
    public string? SpillDirectory { get; init; }

    /// <summary>For tests of parts: a machine counts as complete though pages never came.</summary>
    internal bool AllowsMissingPages { get; init; }

    /// <summary>
    /// Bytes in a target page when the stream does not say, where the search for it begins: a power of two, 256 to 65536.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is no such power.</exception>
    public required int TargetPageSize
    {
        get;
        init => field = BitOperations.IsPow2(value) && BitOperations.Log2((uint)value) is >= Wire.MinPageBits and <= Wire.MaxPageBits
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "a target page is a power of two from 256 to 65536 bytes");
    }
}
