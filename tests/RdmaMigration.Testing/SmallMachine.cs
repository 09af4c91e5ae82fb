using System.Buffers.Binary;
using System.Text;

namespace RdmaMigration.Testing;

/// <summary>The migration of a machine with one RAM block and one device, step by step, so that a test can break it off anywhere.</summary>
public sealed class SmallMachine(RdmaSource source, bool pinAll, bool returnPath = false)
{
    /// <summary>Bytes of RAM: 4 MiB.</summary>
    public const int RamSize = 4 << 20;

    /// <summary>The machine type that the stream names.</summary>
    public const string Machine = "test-1.0";

    private const uint QemuFile = 3;
    private ulong _address;
    private uint _key;
    private Step _reached = Step.Connected;

    /// <summary>Where the migration can be broken off, in order.</summary>
    public enum Step
    {
        /// <summary>Connected, nothing sent.</summary>
        Connected,

        /// <summary>Header, configuration and block list sent.</summary>
        Announced,

        /// <summary>The destination's blocks received.</summary>
        Exchanged,

        /// <summary>Half of RAM written.</summary>
        HalfWritten,

        /// <summary>All RAM written, no device state sent.</summary>
        Written,

        /// <summary>Half of the device state sent.</summary>
        HalfDevice,

        /// <summary>Everything sent.</summary>
        Complete,
    }

    /// <summary>RAM as it is sent.</summary>
    public byte[] Ram { get; } = Pattern();

    /// <summary>Migrates on, up to a step.</summary>
    public void RunTo(Step step)
    {
        while (_reached < step)
        {
            Run(++_reached);
        }
    }

    private void Run(Step step)
    {
        switch (step)
        {
            case Step.Announced:
                source.Send(QemuFile, Announcement());
                break;
            case Step.Exchanged:
                source.Send(4, []);
                byte[] block = source.Receive(5);
                _address = BinaryPrimitives.ReadUInt64BigEndian(block);
                _key = BinaryPrimitives.ReadUInt32BigEndian(block.AsSpan(24));
                source.Send(9, []);
                source.Send(QemuFile, [.. Be64(0x10), 0x7e, .. Be32(1)]);
                source.Send(QemuFile, [0x03, .. Be32(1), .. Be64(0x80)]);
                break;
            case Step.HalfWritten:
                WriteChunk(0);
                WriteChunk(1);
                break;
            case Step.Written:
                WriteChunk(2);
                WriteChunk(3);
                source.Send(9, []);
                source.Send(QemuFile, [.. Be64(0x10), 0x7e, .. Be32(1)]);
                break;
            case Step.HalfDevice:
                source.Send(QemuFile, Device().AsSpan(0, 20));
                break;
            case Step.Complete:
                source.Send(QemuFile, [.. Device()[20..], .. End()]);
                break;
            default:
                break;
        }
    }

    private void WriteChunk(int chunk)
    {
        uint key = _key;
        if (!pinAll)
        {
            source.Send(7, [.. Be64((ulong)chunk << 20), .. Be32(0), .. Be32(0), .. Be64(0)]);
            key = BinaryPrimitives.ReadUInt32BigEndian(source.Receive(8));
        }

        const int half = 1 << 19;
        for (int offset = chunk << 20; offset < (chunk + 1) << 20; offset += half)
        {
            source.Write(Ram.AsSpan(offset, half), _address + (ulong)offset, key);
        }
    }

    private byte[] Announcement() =>
    [
        .. "QEVM"u8, .. Be32(3), 0x07, .. Be32((uint)Machine.Length), .. Encoding.ASCII.GetBytes(Machine),
        .. returnPath ? (byte[])[0x08, 0, 1, 0, 0, 0x08, 0, 2, 0, 4, .. Be32(1)] : [],
        0x01, .. Be32(1), 3, .. "ram"u8, .. Be32(0), .. Be32(4),
        .. Be64(RamSize | 0x04), 6, .. "pc.ram"u8, .. Be64(RamSize), .. Be64(0x80),
    ];

    private static byte[] Device() => [0x04, .. Be32(2), 5, .. "timer"u8, .. Be32(0), .. Be32(2), .. Be64(0x1122334455667788), 0x7e, .. Be32(2)];

    private static byte[] End()
    {
        byte[] json = Encoding.ASCII.GetBytes(
            """{"page_size": 4096, "devices": [{"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 2, "fields": [{"name": "ticks", "type": "int64", "size": 8}]}]}""");
        return [0x00, 0x06, .. Be32((uint)json.Length), .. json];
    }

    private static byte[] Pattern()
    {
        byte[] ram = new byte[RamSize];
        new Random(1).NextBytes(ram.AsSpan(0, RamSize / 2));
        return ram;
    }

    private static byte[] Be32(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Be64(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return bytes;
    }
}
