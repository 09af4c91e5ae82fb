using System.Text;
using RdmaMigration.Streams;

namespace RdmaMigration.VmState;

/// <summary>
/// Reads devices' fields from a stream: knows the path of the field for errors, and bounds what all devices together may be. Used by one thread; takes no lock
/// and changes no device.
/// </summary>
/// <param name="reader">The stream.</param>
/// <param name="maxDeviceState">The most bytes that devices may have, all together.</param>
internal sealed class StateReader(SourceReader reader, ulong maxDeviceState)
{
    /// <summary>Structures within structures: more than any machine has, and few enough for the stack.</summary>
    private const int MaxDepth = 64;

    /// <summary>What an element costs in memory besides its bytes, for the bound.</summary>
    private const uint ElementCost = 64;

    private ulong _taken;

    public FieldPath Path { get; } = new();

    /// <summary>Offset in the stream of the next byte.</summary>
    public ulong Position => reader.Position;

    /// <summary>Begins another device: errors name it from here on, those of the reader too.</summary>
    public void Begin(Device device)
    {
        Path.Begin(device);
        reader.DescribeStep(Path.ToString);
    }

    /// <exception cref="StreamFormatException">The source ended, or it is too much.</exception>
    public void ReadExactly(Span<byte> destination)
    {
        Take((ulong)destination.Length);
        reader.ReadExactly(destination);
    }

    public byte ReadByte()
    {
        Take(1);
        return reader.ReadByte();
    }

    /// <summary>Enters a structure's field.</summary>
    public void Enter(string name)
    {
        Path.Enter(name);
        if (Path.Depth > MaxDepth)
        {
            throw Malformed(Position, $"structures nest deeper than {MaxDepth}");
        }
    }

    /// <summary>Checks a count that the stream gave before anything is allocated for it.</summary>
    /// <param name="count">The count.</param>
    /// <param name="maximum">The most that the device's description allows.</param>
    /// <param name="size">Bytes of an element, at least.</param>
    /// <exception cref="StreamFormatException">It is more.</exception>
    public int CheckCount(long count, int maximum, int size)
    {
        if (count < 0 || count > maximum)
        {
            throw Malformed(Position, $"{count} elements, 0 to {maximum} are allowed");
        }

        return (ulong)count * (ulong)size <= maxDeviceState - _taken ? (int)count : throw TooLarge();
    }

    /// <summary>Counts what an object that is made for an element costs.</summary>
    public void CountElement() => Take(ElementCost);

    /// <summary>The name of the subsection that begins here, not consumed; null if the next byte begins none.</summary>
    /// <param name="prefix">What its name begins with. A byte that begins no such name may be a field of the structure around this one.</param>
    public string? PeekSubsection(string prefix)
    {
        if (!reader.TryPeek(0, out byte marker) || marker != SectionType.Subsection || !reader.TryPeek(1, out byte length) || length <= prefix.Length)
        {
            return null;
        }

        // Byte by byte: no byte is waited for that a field would not have promised.
        StringBuilder name = new();
        for (int i = 0; i < length; i++)
        {
            if (!reader.TryPeek(2 + i, out byte character) || (i < prefix.Length && character != prefix[i]))
            {
                return null;
            }

            name.Append((char)character);
        }

        return name.ToString();
    }

    /// <summary>Consumes what <see cref="PeekSubsection"/> returned and reads the version.</summary>
    public uint ReadSubsectionVersion(string name)
    {
        Span<byte> header = stackalloc byte[2 + byte.MaxValue];
        ReadExactly(header[..(2 + name.Length)]);
        return Scalars.Read<uint>(this);
    }

    /// <summary>An error at the field that is being read.</summary>
    public StreamFormatException Malformed(ulong offset, string detail) => reader.Malformed(offset, detail);

    /// <summary>An error at the field that is being read: this machine's device cannot take it.</summary>
    public StreamFormatException Refused(ulong offset, string detail) => new(StreamFault.Refused, reader.Step, offset, detail);

    private void Take(ulong bytes)
    {
        if (bytes > maxDeviceState - _taken)
        {
            throw TooLarge();
        }

        _taken += bytes;
    }

    private StreamFormatException TooLarge() => reader.TooMuchDeviceState(maxDeviceState);
}
