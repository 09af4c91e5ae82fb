namespace RdmaMigration.Bench.Tests;

public sealed class WorkloadTests
{
    [Theory]
    [InlineData(64, 0, 64)]
    [InlineData(64, 50, 32)]
    [InlineData(512, 90, 51)]
    [InlineData(65536, 99.90234375, 64)]
    public void As_many_MiB_are_random_as_the_share_leaves(int mebibytes, double zeroPercent, int random)
    {
        Workload workload = new(mebibytes, zeroPercent);
        Assert.Equal(random, workload.DataMebibytes);
        Assert.Equal(random, Enumerable.Range(0, mebibytes).Count(workload.IsData));
    }

    [Fact]
    public void What_is_random_is_spread_evenly()
    {
        Workload workload = new(100, 90);
        Assert.All(Enumerable.Range(0, 10), ten => Assert.Single(Enumerable.Range(ten * 10, 10), workload.IsData));
    }
}
