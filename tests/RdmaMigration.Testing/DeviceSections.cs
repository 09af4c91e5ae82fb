using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>
/// Device state cut into FULL sections with the lengths of the vmdescription that follows it, each checked against the section's
/// header and footer (protocol: vmdescription JSON).
/// </summary>
public static class DeviceSections
{
    /// <summary>The sections by "name/instance", in stream order.</summary>
    /// <param name="state">From the first FULL section to the end of the stream, vmdescription included.</param>
    /// <exception cref="InvalidDataException">Sections and description do not agree.</exception>
    public static IReadOnlyDictionary<string, byte[]> Split(byte[] state)
    {
        int description = LastDescription(state);
        using JsonDocument document = JsonDocument.Parse(state.AsMemory(description + 5));
        return Split(state.AsSpan(0, description), document.RootElement.GetProperty("devices"));
    }

    /// <summary>The same for device state that has no vmdescription of its own, by the one of <paramref name="described"/>.</summary>
    public static IReadOnlyDictionary<string, byte[]> Split(ReadOnlySpan<byte> state, byte[] described)
    {
        using JsonDocument document = JsonDocument.Parse(described.AsMemory(LastDescription(described) + 5));
        return Split(state, document.RootElement.GetProperty("devices"));
    }

    /// <summary>The sections whose bytes are not the same in both, with the first offset and both values.</summary>
    public static IReadOnlyList<string> Differences(
        IReadOnlyDictionary<string, byte[]> left, IReadOnlyDictionary<string, byte[]> right)
    {
        List<string> differences = [];
        foreach (string name in left.Keys.Union(right.Keys))
        {
            byte[] a = left.GetValueOrDefault(name) ?? [];
            byte[] b = right.GetValueOrDefault(name) ?? [];
            int common = a.AsSpan().CommonPrefixLength(b);
            if (common < Math.Max(a.Length, b.Length))
            {
                differences.Add($"{name} at {common} of {a.Length}/{b.Length}: {From(a, common)} / {From(b, common)}");
            }
        }

        return differences;
    }

    /// <summary>The offset of the vmdescription: 06, be32 length, and JSON of exactly that length up to the last byte.</summary>
    public static int LastDescription(byte[] state)
    {
        for (int at = state.Length - 6; at >= 0; at--)
        {
            if (state[at] == 0x06 && state[at + 5] == (byte)'{'
                && BinaryPrimitives.ReadUInt32BigEndian(state.AsSpan(at + 1)) == state.Length - at - 5)
            {
                return at;
            }
        }

        throw new InvalidDataException("no vmdescription at the end of the device state");
    }

    private static Dictionary<string, byte[]> Split(ReadOnlySpan<byte> state, JsonElement devices)
    {
        Dictionary<string, byte[]> sections = [];
        int at = 0;
        foreach (JsonElement device in devices.EnumerateArray())
        {
            string name = device.GetProperty("name").GetString()!;
            uint instance = unchecked((uint)device.GetProperty("instance_id").GetInt64());
            int header = 1 + 4 + 1 + name.Length + 8;
            ReadOnlySpan<byte> section = state[at..];
            uint id = BinaryPrimitives.ReadUInt32BigEndian(section[1..]);
            Expect(
                section[0] == 0x04 && section[5] == name.Length
                && Encoding.ASCII.GetString(section.Slice(6, name.Length)) == name
                && BinaryPrimitives.ReadUInt32BigEndian(section[(6 + name.Length)..]) == instance, at, $"section {name}/{instance}");
            int length = checked((int)Length(device));
            ReadOnlySpan<byte> footer = section.Slice(header + length, 5);
            Expect(
                footer[0] == 0x7e && BinaryPrimitives.ReadUInt32BigEndian(footer[1..]) == id, at + header + length,
                $"the footer of {name}/{instance} ({length} bytes)");
            sections.Add($"{name}/{instance}", section.Slice(header, length).ToArray());
            at += header + length + 5;
        }

        Expect(at == state.Length - 1 && state[at] == 0, at, "the end marker");
        return sections;
    }

    // A device's bytes: its elements, and 05, name, version before each subsection.
    private static long Length(JsonElement of)
    {
        if (of.TryGetProperty("size", out JsonElement size))
        {
            return size.GetInt64();
        }

        long length = 0;
        foreach (JsonElement field in of.GetProperty("fields").EnumerateArray())
        {
            long count = field.TryGetProperty("array_len", out JsonElement elements) ? elements.GetInt64() : 1;
            length += count * field.GetProperty("size").GetInt64();
        }

        if (of.TryGetProperty("subsections", out JsonElement subsections))
        {
            foreach (JsonElement subsection in subsections.EnumerateArray())
            {
                length += 6 + subsection.GetProperty("vmsd_name").GetString()!.Length + Length(subsection);
            }
        }

        return length;
    }

    private static void Expect(bool condition, int at, string what)
    {
        if (!condition)
        {
            throw new InvalidDataException($"device state at {at}: expected {what}");
        }
    }

    private static string From(byte[] bytes, int at) => Convert.ToHexString(bytes.AsSpan(at, Math.Min(16, bytes.Length - at)));
}
