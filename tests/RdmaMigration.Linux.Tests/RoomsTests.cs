using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace RdmaMigration.Linux.Tests;

/// <summary>The program's assemblies, as they are built: who refers to the C library.</summary>
public class RoomsTests
{
    private const string Linux = "RdmaMigration.Linux";
    private const string Verbs = "RdmaMigration.Verbs";

    private static readonly string[] s_rooms =
    [
        Linux, "RdmaMigration.Memory", Verbs, "RdmaMigration.Stream", "RdmaMigration.Transport", "RdmaMigration.Engine", "RdmaMigration.Service",
        "RdmaMigration.Qmp", "RdmaMigration.Machine", "rdmamig",
    ];

    public static TheoryData<string> Others => [.. s_rooms.Except([Linux])];

    [Fact]
    public void Every_assembly_of_the_program_is_a_room_that_is_looked_at() =>
        Assert.Equal(s_rooms.Order(), OwnAssemblies().Order());

    [Fact]
    public void The_Linux_room_uses_the_C_library()
    {
        (string[] assemblies, string[] libraries) = ReferencesOf(Linux);
        Assert.Contains("Tmds.LibC", assemblies);
        Assert.Contains("libc", libraries);
    }

    [Theory]
    [MemberData(nameof(Others))]
    public void No_other_room_refers_to_the_C_library(string room)
    {
        (string[] assemblies, string[] libraries) = ReferencesOf(room);
        Assert.DoesNotContain("Tmds.LibC", assemblies);
        Assert.DoesNotContain(libraries, library => library.StartsWith("libc", StringComparison.Ordinal));
        Assert.True(room == Verbs || libraries.Length == 0, $"{room} imports from {string.Join(", ", libraries)}");
    }

    [Fact]
    public void The_Linux_room_is_below_all_others() =>
        Assert.DoesNotContain(ReferencesOf(Linux).Assemblies, assembly => assembly.StartsWith("RdmaMigration", StringComparison.Ordinal));

    private static IEnumerable<string> OwnAssemblies() => Directory.GetFiles(AppContext.BaseDirectory, "*.dll")
        .Select(path => Path.GetFileNameWithoutExtension(path))
        .Where(name => name == "rdmamig"
            || (name.StartsWith("RdmaMigration.", StringComparison.Ordinal) && !name.EndsWith(".Tests", StringComparison.Ordinal)));

    private static (string[] Assemblies, string[] Libraries) ReferencesOf(string assembly)
    {
        using FileStream file = File.OpenRead(Path.Combine(AppContext.BaseDirectory, assembly + ".dll"));
        using PEReader portable = new(file);
        MetadataReader metadata = portable.GetMetadataReader();
        string[] assemblies = [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];

        // The table of module references has a row for each native library of an import.
        IEnumerable<string> libraries = Enumerable.Range(1, metadata.GetTableRowCount(TableIndex.ModuleRef))
            .Select(row => metadata.GetModuleReference(MetadataTokens.ModuleReferenceHandle(row)))
            .Select(module => metadata.GetString(module.Name));
        return (assemblies, [.. libraries]);
    }
}
