using System.Buffers.Binary;
using static RdmaMigration.Testing.StreamedMachine;

namespace RdmaMigration.Testing;

/// <summary>The migration of the <see cref="StreamedMachine"/> over RDMA, step by step, so that a test can break it off anywhere.</summary>
public sealed class SmallMachine(RdmaSource source, bool pinAll, bool returnPath = false)
{
    private const uint QemuFile = 3;
    private const ulong Hook = 0x80;
    private ulong _address;
    private uint _key;
    private Step _reached = Step.Connected;
    private bool _stopsAtConfigured;

    /// <summary>Where the migration can be broken off, in order.</summary>
    public enum Step
    {
        /// <summary>Connected, nothing sent.</summary>
        Connected,

        /// <summary>Header and configuration sent.</summary>
        Configured,

        /// <summary>Header, configuration and block list sent.</summary>
        Announced,

        /// <summary>The destination's blocks received, the exchange not ended.</summary>
        Requested,

        /// <summary>The exchange of blocks ended.</summary>
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

    /// <summary>Migrates on, up to a step.</summary>
    public void RunTo(Step step)
    {
        _stopsAtConfigured |= step == Step.Configured;
        while (_reached < step)
        {
            Run(++_reached);
        }
    }

    private void Run(Step step)
    {
        switch (step)
        {
            case Step.Configured when _stopsAtConfigured:
                source.Send(QemuFile, Configuration(returnPath));
                break;
            case Step.Announced:
                source.Send(QemuFile, [.. _stopsAtConfigured ? BlockList() : Opening(returnPath), .. Be64(Hook)]);
                break;
            case Step.Requested:
                source.Send(4, []);
                byte[] block = source.Receive(5);
                _address = BinaryPrimitives.ReadUInt64BigEndian(block);
                _key = BinaryPrimitives.ReadUInt32BigEndian(block.AsSpan(24));
                break;
            case Step.Exchanged:
                source.Send(9, []);
                source.Send(QemuFile, EndOfRam());
                source.Send(QemuFile, [0x03, .. Be32(1), .. Be64(Hook)]);
                break;
            case Step.HalfWritten:
                WriteChunk(0);
                WriteChunk(1);
                break;
            case Step.Written:
                WriteChunk(2);
                WriteChunk(3);
                source.Send(9, []);
                source.Send(QemuFile, EndOfRam());
                break;
            case Step.HalfDevice:
                source.Send(QemuFile, Device().AsSpan(0, 20));
                break;
            case Step.Complete:
                source.Send(QemuFile, [.. Device()[20..], .. Ending()]);
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
}
