using PublicApiGenerator;
using RdmaMigration.VmState;

namespace RdmaMigration.Streams.Tests;

public sealed class PublicApiTests
{
    [Fact]
    public void Public_surface_is_the_checked_in_one()
    {
        string actual = typeof(VmStateDescription<>).Assembly.GeneratePublicApi(new ApiGeneratorOptions { IncludeAssemblyAttributes = false });

        string expected = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "PublicApi.txt"));
        Assert.True(expected == actual, $"The public surface differs from PublicApi.txt. If that is intended, make it this:\n{actual}");
    }
}
