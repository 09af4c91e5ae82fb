using System.Buffers;
using System.Text;

namespace RdmaMigration.Streams;

/// <summary>The configuration section: what both sides must agree on (FORMAT.md, Configuration).</summary>
internal sealed class StreamConfiguration
{
    internal StreamConfiguration(
        string? machineType, int pageSize, bool statesPageSize, IReadOnlyList<string> capabilities, Guid? uuid, ReadOnlyMemory<byte> encoded)
    {
        MachineType = machineType;
        PageSize = pageSize;
        StatesPageSize = statesPageSize;
        Capabilities = capabilities;
        Uuid = uuid;
        Encoded = encoded;
    }

    /// <summary>
    /// The configuration of a machine of our own: its type alone. A machine with pages of 4 KiB, such as QEMU's for x86, does not state their size.
    /// </summary>
    /// <param name="machineType">1 to 255 printable ASCII characters.</param>
    /// <exception cref="ArgumentException">It is not.</exception>
    public static StreamConfiguration Of(string machineType)
    {
        if (machineType.Length is 0 or > byte.MaxValue || machineType.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new ArgumentException(
                $"machine type '{Printable.Of(machineType)}': 1 to {byte.MaxValue} printable ASCII characters are allowed", nameof(machineType));
        }

        ArrayBufferWriter<byte> encoded = new();
        encoded.WriteByte(SectionType.Configuration);
        encoded.WriteUInt32((uint)machineType.Length);
        encoded.Write(Encoding.ASCII.GetBytes(machineType));
        return new StreamConfiguration(machineType, Wire.DefaultPageSize, statesPageSize: false, [], uuid: null, encoded.WrittenMemory);
    }

    /// <summary>
    /// The machine type, such as <c>pc-i440fx-7.2</c>; null if the stream has no configuration section (machine types of QEMU 2.3 and older).
    /// </summary>
    public string? MachineType { get; }

    /// <summary>
    /// Bytes in a target page: what the stream states, else what its RAM entries show (<see cref="PageSizeSearch"/>), which is known at their end.
    /// </summary>
    public int PageSize { get; internal set; }

    /// <summary>The stream states the page size.</summary>
    public bool StatesPageSize { get; }

    /// <summary>The capabilities that both sides must have alike; usually none.</summary>
    public IReadOnlyList<string> Capabilities { get; }

    /// <summary>The machine's UUID, if the source has capability validate-uuid.</summary>
    public Guid? Uuid { get; }

    /// <summary>True if RAM that both sides share through a file may be left out of the stream.</summary>
    public bool IgnoresShared => Capabilities.Contains(Wire.IgnoreSharedCapability);

    /// <summary>The section's bytes as they arrived, with the marker; empty if there is none.</summary>
    public ReadOnlyMemory<byte> Encoded { get; }
}
