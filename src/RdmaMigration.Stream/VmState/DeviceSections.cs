using RdmaMigration.Streams;

namespace RdmaMigration.VmState;

/// <summary>
/// Reads the sections of a machine's own devices. Each is decoded without the big lock and without a change of the device, into a <see cref="StagedDevice"/>.
/// A device knows where its data ends, so the end of the stream is never guessed: it is the end marker, and the vmdescription behind it. What the machine does
/// not know ends the load.
/// </summary>
/// <param name="reader">The stream.</param>
/// <param name="footers">Footers of its sections.</param>
/// <param name="target">Gives the big lock to a device that needs it to decode.</param>
/// <param name="devices">The machine's devices.</param>
/// <param name="maxDeviceState">The most bytes that all devices may have together, and the vmdescription by itself.</param>
internal sealed class DeviceSections(SourceReader reader, SectionFooters footers, IStreamTarget target, DeviceList devices, ulong maxDeviceState)
    : ISectionHandler
{
    private readonly StateReader _state = new(reader, maxDeviceState);
    private readonly List<StagedDevice> _staged = [];
    private readonly HashSet<Device> _seen = [];

    /// <summary>The devices that have come, in stream order: the order in which they are committed.</summary>
    public IReadOnlyList<StagedDevice> Staged => _staged;

    /// <inheritdoc/>
    public SectionOutcome Read(in SectionHeader header, ulong at, BigLockState state)
    {
        reader.Step = header.Step;
        if (header.Type is SectionType.Part or SectionType.End)
        {
            throw reader.Malformed(at, "no START section has this id");
        }

        if (devices.Find(header.Name, header.InstanceId) is not { } device)
        {
            throw new StreamFormatException(
                StreamFault.Refused, reader.Step, at, $"this machine has no device '{header.Name}' instance {header.InstanceId}");
        }

        if (!_seen.Add(device))
        {
            throw reader.Malformed(at, $"device '{device.Name}' instance {device.InstanceId} comes twice");
        }

        // A decode waits for the source.
        state.Assert();
        _staged.Add(device.NeedsLockToDecode ? DecodeWithLock(device, header.Version, at, state) : device.Decode(_state, header.Version));
        footers.Read(header.Id);
        return SectionOutcome.NextSection;
    }

    /// <summary>Reads the end marker, and the vmdescription behind it unless the source ends there.</summary>
    /// <exception cref="StreamFormatException">A device of this machine has not come.</exception>
    public void ReadEnd()
    {
        reader.Step = "end of stream";
        ulong at = reader.Position;
        reader.ReadByte();
        if (devices.FirstOrDefault(device => device.IsAlwaysSaved && !_seen.Contains(device)) is { } missing)
        {
            throw new StreamFormatException(
                StreamFault.Incomplete, reader.Step, at, $"device '{missing.Name}' instance {missing.InstanceId} of this machine has not come");
        }

        reader.Step = "vmdescription";
        at = reader.Position;
        if (reader.TryPeek(0, out byte type))
        {
            if (type != SectionType.VmDescription)
            {
                throw reader.Malformed(at, $"0x{type:x2} where the vmdescription (0x{SectionType.VmDescription:x2}) should be");
            }

            SkipDescription();
        }
    }

    /// <summary>The bytes must be in memory: with the lock held nothing waits for the source.</summary>
    private StagedDevice DecodeWithLock(Device device, uint version, ulong at, BigLockState state)
    {
        if (!reader.IsInPackage)
        {
            throw new StreamFormatException(
                StreamFault.Refused,
                reader.Step,
                at,
                $"device '{device.Name}' instance {device.InstanceId} needs the big lock to be decoded, but is not in a package, so its length is not known;"
                    + " set NeedsLockToDecode in the source's program too");
        }

        StagedDevice? staged = null;
        target.WithBigLock(
            state,
            held =>
            {
                held.Assert();
                staged = device.Decode(_state, version);
            });
        return staged ?? throw new InvalidOperationException($"device '{device.Name}' was not decoded");
    }

    private void SkipDescription()
    {
        reader.ReadByte();
        uint length = reader.ReadUInt32();
        if (length > maxDeviceState)
        {
            throw reader.TooMuchDeviceState(maxDeviceState);
        }

        Span<byte> scratch = stackalloc byte[512];
        for (uint left = length; left > 0;)
        {
            Span<byte> part = scratch[..(int)Math.Min(left, (uint)scratch.Length)];
            reader.ReadExactly(part);
            left -= (uint)part.Length;
        }
    }
}
