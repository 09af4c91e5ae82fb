using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Nerdbank.Streams;

namespace RdmaMigration.Streams;

/// <summary>The section "globalstate": the run state that the machine had at its source (FORMAT.md, Device state).</summary>
internal static class GlobalState
{
    private const string Name = "globalstate";
    private const uint Version = 1;

    /// <summary>The name's length and a NUL. No loader reads it.</summary>
    private const int SizeLength = sizeof(uint);

    private const int RunStateLength = 100;

    /// <summary>What the name may take of it: since QEMU 9.0 flags follow.</summary>
    private const int NameLength = 32;

    private static readonly SearchValues<byte> s_letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz-"u8);

    /// <summary>Finds the run state. Goes through the sections once, whatever they hold.</summary>
    /// <param name="sections">Device sections and the end marker.</param>
    /// <param name="vmDescription">Says how long each device is; null for none.</param>
    /// <param name="hasFooters">Sections end with a footer.</param>
    /// <returns>The section's data; null when the section is missing, cannot be found, or is malformed.</returns>
    public static GlobalStateData? Find(in ReadOnlySequence<byte> sections, ReadOnlyMemory<byte>? vmDescription, bool hasFooters)
    {
        DeviceEntry[] devices = ReadDevices(vmDescription);
        SequenceReader<byte> reader = new(sections);
        int next = 0;
        while (reader.TryRead(out byte type) && type != SectionType.EndOfFile)
        {
            if (!reader.TryReadBigEndian(out int id) || type is not (SectionType.Start or SectionType.Part or SectionType.End or SectionType.Full))
            {
                return null;
            }

            ulong? length = null;
            if (type is SectionType.Full)
            {
                if (!SectionSteps.TryReadName(ref reader, out string name, out uint instance, out uint version))
                {
                    return null;
                }

                if (name == Name && instance == 0)
                {
                    return version == Version ? ReadData(reader, (uint)id, hasFooters) : null;
                }

                length = FindLength(ref devices, ref next, name, instance);
            }

            if (!SectionSteps.TrySkipData(length, (uint)id, hasFooters, ref reader) && !(
                hasFooters && SectionSteps.TrySkipToFooter((uint)id, ref reader)))
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>The same sections with another run state. They share memory with those that are given.</summary>
    /// <param name="sections">As for <see cref="Find"/>.</param>
    /// <param name="found">What it has returned.</param>
    /// <param name="runState">QEMU's name of the run state, shorter than 32 letters.</param>
    public static ReadOnlySequence<byte> Replace(in ReadOnlySequence<byte> sections, GlobalStateData found, string runState)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(runState.Length, NameLength, nameof(runState));
        int length = SizeLength + Math.Max(NameLength, found.RunState.Length);
        byte[] data = new byte[length];
        BinaryPrimitives.WriteInt32BigEndian(data, runState.Length + 1);
        Encoding.ASCII.GetBytes(runState, data.AsSpan(SizeLength));

        Sequence<byte> replaced = new();
        Append(sections.Slice(0, found.Offset));
        replaced.Append(data);
        Append(sections.Slice(found.Offset + length));
        return replaced.AsReadOnlySequence;

        void Append(ReadOnlySequence<byte> bytes)
        {
            foreach (ReadOnlyMemory<byte> segment in bytes)
            {
                replaced.Append(segment);
            }
        }
    }

    private static DeviceEntry[] ReadDevices(ReadOnlyMemory<byte>? vmDescription)
    {
        if (vmDescription is not { IsEmpty: false } text)
        {
            return [];
        }

        try
        {
            return DeviceListReader.Read(new ReadOnlySequence<byte>(text));
        }
        catch (JsonException)
        {
            return [];
        }
    }

    /// <summary>The length of the next device. A list that has other devices than the sections is dropped.</summary>
    private static ulong? FindLength(ref DeviceEntry[] devices, ref int next, string name, uint instance)
    {
        // Those that it lists first may have come before RAM.
        int found = next == 0 ? Array.FindIndex(devices, device => device.Is(name, instance))
            : next < devices.Length && devices[next].Is(name, instance) ? next
            : -1;
        if (found < 0)
        {
            devices = [];
            return null;
        }

        next = found + 1;
        return devices[found].Length;
    }

    private static GlobalStateData? ReadData(SequenceReader<byte> data, uint id, bool hasFooters)
    {
        SequenceReader<byte> behind = data;
        Span<byte> bytes = stackalloc byte[SizeLength + RunStateLength];
        if (!SectionSteps.TrySkipData((ulong)bytes.Length, id, hasFooters, ref behind) || !data.TryCopyTo(bytes))
        {
            return null;
        }

        ReadOnlySpan<byte> name = bytes[SizeLength..];
        int length = name.IndexOf((byte)0);
        return length > 0 && !name[..length].ContainsAnyExcept(s_letters)
            ? new GlobalStateData(data.Consumed, Encoding.ASCII.GetString(name[..length]))
            : null;
    }
}

/// <summary>The data of the section "globalstate".</summary>
/// <param name="Offset">Index of its first byte in the sections.</param>
/// <param name="RunState">QEMU's name of the run state.</param>
internal sealed record GlobalStateData(long Offset, string RunState);
