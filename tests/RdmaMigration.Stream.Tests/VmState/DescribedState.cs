using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests.VmState;

/// <summary>State of which only a QEMU's vmdescription is known: a slot for each field.</summary>
internal sealed partial class DescribedState
{
    private readonly Dictionary<string, object> _slots = [];
    private readonly HashSet<string> _subsections = [];

    /// <summary>A description that has the fields of the vmdescription's object, and so decodes the bytes that it describes.</summary>
    public static VmStateDescription<DescribedState> Describe(IReadOnlyList<JsonElement> alike)
    {
        JsonElement first = alike[0];
        VmStateDescription<DescribedState> description = new(first.GetProperty("vmsd_name").GetString()!, first.GetProperty("version").GetUInt32());
        AddFields(description, first);
        AddSubsections(description, alike);
        return description;
    }

    /// <summary>QEMU writes a field's members where the field would be, from an object that exists only for that.</summary>
    public static bool HasTemporary(JsonElement device) => device.GetRawText().Contains("\"type\": \"tmp\"", StringComparison.Ordinal);

    private static void AddFields(VmStateDescription<DescribedState> description, JsonElement state)
    {
        JsonElement[] fields = [.. state.GetProperty("fields").EnumerateArray()];
        for (int i = 0; i < fields.Length; i++)
        {
            string name = fields[i].GetProperty("name").GetString()!;
            Match numbered = Numbered().Match(name);
            string plain = numbered.Success ? numbered.Groups[1].Value : name;
            if (!numbered.Success)
            {
                i += Add(description, plain, name, fields.AsSpan(i));
                continue;
            }

            // Fields of that name which are not in this state: the number counts them too.
            int number = int.Parse(numbered.Groups[2].Value, CultureInfo.InvariantCulture);
            int before = fields.Take(i).Count(f => Numbered().Match(f.GetProperty("name").GetString()!).Groups[1].Value == plain);
            AddAbsent(description, plain, number - before);
            i += Add(description, plain, name, fields.AsSpan(i));
            AddAbsent(description, plain, number == 0 && !fields.Any(f => f.GetProperty("name").GetString() == plain + "[1]") ? 1 : 0);
        }
    }

    private static void AddAbsent(VmStateDescription<DescribedState> description, string name, int count)
    {
        for (int i = 0; i < count; i++)
        {
            description.Buffer(name, 0, _ => default, exists: _ => false);
        }
    }

    /// <summary>Adds the field that begins here and returns how many more of them it has.</summary>
    private static int Add(VmStateDescription<DescribedState> description, string name, string slot, ReadOnlySpan<JsonElement> fields)
    {
        JsonElement field = fields[0];
        string type = field.GetProperty("type").GetString()!;
        int size = field.GetProperty("size").GetInt32();
        int count = field.TryGetProperty("array_len", out JsonElement length) ? length.GetInt32() : 1;
        if (type == "struct" && field.TryGetProperty("index", out _))
        {
            List<JsonElement> elements = [];
            while (elements.Count < fields.Length && fields[elements.Count] is JsonElement next
                && next.GetProperty("name").GetString() == slot && next.TryGetProperty("index", out JsonElement index) && index.GetInt32() == elements.Count)
            {
                elements.Add(next.GetProperty("struct"));
            }

            AddStructs(description, name, slot, elements.Count, Varying(Describe(elements)));
            return elements.Count - 1;
        }

        switch (type)
        {
            case "struct" when count == 1:
                description.Struct(name, Describe([field.GetProperty("struct")]), s => s.Slot(slot, () => new DescribedState()));
                break;
            case "struct":
                AddStructs(description, name, slot, count, Describe([field.GetProperty("struct")]));
                break;
            case "unused_buffer":
                description.Unused(size);
                break;
            case "bool":
                description.BoolArray(name, count, s => s.Slot(slot, () => new bool[count]));
                break;
            case { } when type.StartsWith("int", StringComparison.Ordinal) || type.StartsWith("uint", StringComparison.Ordinal) || type == "timer":
                AddIntegers(description, name, slot, count, type, size);
                break;
            default:
                description.Buffer(name, size, s => s.Slot(slot, () => new byte[size]), type: type);
                break;
        }

        return 0;
    }

    private static void AddIntegers(VmStateDescription<DescribedState> description, string name, string slot, int count, string type, int size)
    {
        bool isSigned = type[0] != 'u';
        switch (size)
        {
            case 1 when isSigned:
                description.Array(name, count, s => s.Slot(slot, () => new sbyte[count]), type: type);
                break;
            case 1:
                description.Array(name, count, s => s.Slot(slot, () => new byte[count]), type: type);
                break;
            case 2 when isSigned:
                description.Array(name, count, s => s.Slot(slot, () => new short[count]), type: type);
                break;
            case 2:
                description.Array(name, count, s => s.Slot(slot, () => new ushort[count]), type: type);
                break;
            case 4 when isSigned:
                description.Array(name, count, s => s.Slot(slot, () => new int[count]), type: type);
                break;
            case 4:
                description.Array(name, count, s => s.Slot(slot, () => new uint[count]), type: type);
                break;
            case 8 when isSigned:
                description.Array(name, count, s => s.Slot(slot, () => new long[count]), type: type);
                break;
            case 8:
                description.Array(name, count, s => s.Slot(slot, () => new ulong[count]), type: type);
                break;
            default:
                throw new InvalidDataException($"{name}: {type} of {size} bytes");
        }
    }

    private static void AddStructs(
        VmStateDescription<DescribedState> description, string name, string slot, int count, VmStateDescription<DescribedState> element) =>
        description.StructArray(
            name, count, element, s => s.Slot(slot, () => Enumerable.Range(0, count).Select(_ => new DescribedState()).ToArray()));

    /// <summary>Something in it depends on the element, though all that are recorded are alike.</summary>
    private static VmStateDescription<DescribedState> Varying(VmStateDescription<DescribedState> description) =>
        description.Subsection(new VmStateDescription<DescribedState>(description.Name + "/never") { Needed = _ => false });

    private static void AddSubsections(VmStateDescription<DescribedState> description, IReadOnlyList<JsonElement> alike)
    {
        foreach (IGrouping<string, JsonElement> same in alike
            .Where(state => state.TryGetProperty("subsections", out _))
            .SelectMany(state => state.GetProperty("subsections").EnumerateArray())
            .GroupBy(subsection => subsection.GetProperty("vmsd_name").GetString()!))
        {
            JsonElement first = same.First();
            VmStateDescription<DescribedState> subsection = new(same.Key, first.GetProperty("version").GetUInt32())
            {
                Needed = s => s._subsections.Contains(same.Key),
                PostLoad = (s, _) => s._subsections.Add(same.Key),
            };
            AddFields(subsection, first);
            AddSubsections(subsection, [.. same]);
            description.Subsection(subsection);
        }
    }

    private TSlot Slot<TSlot>(string name, Func<TSlot> create)
        where TSlot : class
    {
        if (!_slots.TryGetValue(name, out object? slot))
        {
            slot = create();
            _slots.Add(name, slot);
        }

        return (TSlot)slot;
    }

    [GeneratedRegex(@"^(.*)\[(\d+)\]$")]
    private static partial Regex Numbered();
}
