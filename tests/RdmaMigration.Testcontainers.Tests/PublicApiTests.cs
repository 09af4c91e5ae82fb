using PublicApiGenerator;

namespace RdmaMigration.Testcontainers.Tests;

public sealed class PublicApiTests
{
    [Fact]
    public void Public_surface_is_the_checked_in_one()
    {
        string actual = typeof(SoftRoceBuilder).Assembly.GeneratePublicApi(new ApiGeneratorOptions { IncludeAssemblyAttributes = false });

        string expected = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "PublicApi.txt"));
        Assert.True(expected == actual, $"The public surface differs from PublicApi.txt. If that is intended, make it this:\n{actual}");
    }

    [Fact]
    public void Package_refers_to_no_other_assembly_of_ours_and_to_no_test_framework() =>
        Assert.DoesNotContain(
            typeof(SoftRoceBuilder).Assembly.GetReferencedAssemblies(),
            assembly => assembly.Name!.StartsWith("RdmaMigration", StringComparison.Ordinal) || assembly.Name.StartsWith("xunit", StringComparison.Ordinal));
}
