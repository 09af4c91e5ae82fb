namespace RdmaMigration.Verbs.Tests;

public sealed class PublicApiTests
{
    [Fact]
    public void Public_surface_is_the_checked_in_one()
    {
        string actual = PublicApi.Describe(typeof(CmId).Assembly);
        string expected = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "PublicApi.txt"));
        Assert.True(expected == actual, $"The public surface differs from PublicApi.txt. If that is meant, make it this:\n{actual}");
    }
}
