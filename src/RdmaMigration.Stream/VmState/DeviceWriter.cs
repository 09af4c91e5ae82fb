using System.Buffers;
using System.Buffers.Binary;
using RdmaMigration.Streams;

namespace RdmaMigration.VmState;

/// <summary>Saves a machine's devices into memory.</summary>
internal static class DeviceWriter
{
    /// <summary>
    /// Calls each device's pre_save and writes its section. With the big lock held and the machine stopped; the result is sent without the lock. A device whose
    /// predicate says that it is not needed is left out.
    /// </summary>
    /// <param name="devices">The devices, in their order.</param>
    /// <param name="footers">Sections end with a footer.</param>
    /// <param name="firstSectionId">Id of the first section; each has the next one.</param>
    /// <param name="pageSize">Bytes in a target page, for the vmdescription.</param>
    /// <exception cref="Linux.MigrationException">A device does not fit its description, or a hook or getter threw.</exception>
    public static SavedDevices Save(DeviceList devices, bool footers, uint firstSectionId, int pageSize)
    {
        ArgumentNullException.ThrowIfNull(devices);
        StateWriter writer = new();
        DescriptionText text = writer.Description;
        text.StartObject();
        text.Add("page_size", pageSize);
        text.StartArray("devices");
        uint id = firstSectionId;
        foreach (Device device in devices)
        {
            writer.Path.Begin(device);
            try
            {
                if (device.IsNeeded())
                {
                    if (device.NeedsLockToDecode)
                    {
                        WritePackage(writer, device, id++, footers);
                    }
                    else
                    {
                        Write(writer, device, id++, footers);
                    }
                }
            }
            catch (Exception e) when (e is not Linux.MigrationException)
            {
                throw writer.Failed(e);
            }
        }

        text.EndArray();
        text.EndObject();
        writer.Write([SectionType.EndOfFile]);
        return new SavedDevices(writer.Bytes.AsReadOnlySequence, text.Text, id);
    }

    /// <summary>A device whose bytes the destination has to have in memory before it decodes them.</summary>
    private static void WritePackage(StateWriter writer, Device device, uint id, bool footers)
    {
        writer.Bytes.WriteByte(SectionType.Command);
        writer.Bytes.WriteUInt16((ushort)MigrationCommand.Packaged);
        writer.Bytes.WriteUInt16(sizeof(uint));
        Memory<byte> length = writer.Bytes.GetMemory(sizeof(uint))[..sizeof(uint)];
        writer.Bytes.Advance(sizeof(uint));
        long start = writer.Bytes.Length;
        Write(writer, device, id, footers);
        long written = writer.Bytes.Length - start;
        if (written > Wire.MaxPackage)
        {
            throw writer.Wrong($"{written} bytes; a device that needs the big lock to be decoded has at most {Wire.MaxPackage}, its section's header included");
        }

        BinaryPrimitives.WriteUInt32BigEndian(length.Span, (uint)written);
    }

    private static void Write(StateWriter writer, Device device, uint id, bool footers)
    {
        SectionHeader header = new(SectionType.Full, id, device.Name, device.InstanceId, device.Version);
        writer.Bytes.Advance(header.Encode(writer.Bytes.GetSpan(SectionHeader.MaxLength)));
        DescriptionText text = writer.Description;
        text.StartObject();
        text.Add("name", device.Name);
        text.Add("instance_id", device.InstanceId);
        device.Encode(writer);
        text.EndObject();
        if (footers)
        {
            writer.Bytes.WriteByte(SectionType.Footer);
            writer.Bytes.WriteUInt32(id);
        }
    }
}

/// <summary>Devices as they stand in a stream.</summary>
/// <param name="Sections">Their FULL sections, and the end marker.</param>
/// <param name="VmDescription">The vmdescription's JSON text.</param>
/// <param name="NextSectionId">The first section id that is free.</param>
internal sealed record SavedDevices(ReadOnlySequence<byte> Sections, ReadOnlyMemory<byte> VmDescription, uint NextSectionId);
