using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Tests;

/// <summary>Holds what managed code believes about the ABI against what the C compiler says about the installed headers.</summary>
public sealed unsafe class AbiTests
{
    private static readonly Dictionary<string, long> s_facts = ReadFacts();

    private static IEnumerable<Type> Structs => typeof(ibv_wc).Assembly.GetTypes()
        .Where(type => type.IsValueType && !type.IsEnum && !type.IsNested && type.Namespace == typeof(ibv_wc).Namespace);

    public static TheoryData<string> StructNames => [.. Structs.Select(type => type.Name)];

    public static TheoryData<string> ConstantNames =>
        [.. typeof(Constants).GetFields(BindingFlags.Static | BindingFlags.NonPublic).Select(constant => constant.Name)];

    public static TheoryData<string> EnumNames => [.. PublicEnums().Select(type => type.Name)];

    [Theory]
    [MemberData(nameof(StructNames))]
    public void Struct_has_the_size_and_the_field_offsets_of_the_header(string name)
    {
        Type type = Structs.Single(type => type.Name == name);
        List<string> difference = new();
        Compare(difference, $"sizeof({name})", SizeOf(type));
        foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            Compare(difference, FactOf(name, field.Name), Marshal.OffsetOf(type, field.Name));
        }

        Assert.Empty(difference);
    }

    [Fact]
    public void Every_field_offset_of_the_native_table_belongs_to_a_managed_field()
    {
        HashSet<string> expected = [.. Structs.SelectMany(type => type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .Select(field => FactOf(type.Name, field.Name)))];
        Assert.DoesNotContain(s_facts.Keys, fact => fact.StartsWith("offsetof", StringComparison.Ordinal) && !expected.Contains(fact));
    }

    [Fact]
    public void Public_structs_that_cross_the_boundary_are_their_native_counterparts()
    {
        Assert.Equal(s_facts["sizeof(ibv_wc)"], sizeof(WorkCompletion));
        Assert.Equal(s_facts["sizeof(ibv_gid)"], sizeof(Gid));
    }

    [Fact]
    public void Every_pointer_of_an_import_points_to_a_struct_that_is_checked()
    {
        HashSet<Type> harmless = [typeof(byte), typeof(int), typeof(nint), typeof(void)];
        IEnumerable<Type> pointees = Imports.All.SelectMany(
            method => method.GetParameters().Select(parameter => parameter.ParameterType).Append(method.ReturnType))
            .Where(type => type.IsPointer)
            .Select(Pointee);
        Assert.DoesNotContain(pointees, type => !harmless.Contains(type) && type != typeof(WorkCompletion) && !Structs.Contains(type));
    }

    [Theory]
    [MemberData(nameof(ConstantNames))]
    public void Constant_has_the_value_of_the_header(string name)
    {
        object value = typeof(Constants).GetField(name, BindingFlags.Static | BindingFlags.NonPublic)!.GetRawConstantValue()!;
        Assert.Equal(s_facts[name], Convert.ToInt64(value, null));
    }

    [Theory]
    [MemberData(nameof(EnumNames))]
    public void Every_member_of_a_public_enumeration_has_the_value_of_its_C_constant(string name)
    {
        Type type = PublicEnums().Single(type => type.Name == name);
        Dictionary<string, string> names = EnumConstants.Of(type);
        List<string> difference = new();
        foreach (FieldInfo member in type.GetFields(BindingFlags.Static | BindingFlags.Public))
        {
            long value = Convert.ToInt64(member.GetRawConstantValue(), null);
            if (!names.TryGetValue(member.Name, out string? constant))
            {
                difference.Add($"{member.Name} has no check");
            }
            else if (constant.Length > 0 && (!s_facts.TryGetValue(constant, out long native) || native != value))
            {
                difference.Add($"{member.Name} is {value}, {constant} is {s_facts.GetValueOrDefault(constant, -1)}");
            }
        }
        Assert.Empty(difference);
    }

    [Fact]
    public void Error_numbers_have_the_values_of_the_header()
    {
        Assert.All(Enum.GetValues<Errno>().Where(errno => errno != Errno.None), errno => Assert.Equal(s_facts[errno.ToString()], (long)errno));
    }

    internal static IEnumerable<Type> PublicEnums() => typeof(CmId).Assembly.GetExportedTypes().Where(type => type.IsEnum);

    private static Type Pointee(Type type) => type.IsPointer ? Pointee(type.GetElementType()!) : type;

    // A union's arm is one field here: wr.rdma.rkey is wr_rdma_rkey.
    private static string FactOf(string type, string field)
    {
        string flattened = $"offsetof({type}, {field})";
        return s_facts.Keys.FirstOrDefault(fact => fact.Replace('.', '_') == flattened) ?? flattened;
    }

    private static void Compare(List<string> difference, string fact, long managed)
    {
        if (!s_facts.TryGetValue(fact, out long native))
        {
            difference.Add($"{fact} is not in the native table");
        }
        else if (native != managed)
        {
            difference.Add($"{fact} is {native}, managed code says {managed}");
        }
    }

    private static long SizeOf(Type type) =>
        (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    private static Dictionary<string, long> ReadFacts()
    {
        Dictionary<string, long> facts = new();
        for (rdmamig_abi_fact* fact = Shim.rdmamig_abi_facts(); fact->name is not null; fact++)
        {
            facts.Add(Marshal.PtrToStringUTF8((nint)fact->name)!, fact->value);
        }

        return facts;
    }
}
