namespace RdmaMigration.Transport.Tests;

/// <summary>A rate that changes while a sender sends.</summary>
public sealed class BandwidthLimitTests
{
    private const int Most = 4 << 20;
    private const int Rate = 1 << 20;

    [Fact]
    public void Without_a_rate_everything_may_go_at_once()
    {
        BandwidthLimit limit = new(null);
        limit.Sent(long.MaxValue);
        Assert.Equal((null, Most, TimeSpan.Zero), (limit.BytesPerSecond, limit.Portion(Most), limit.Pause));
    }

    [Fact]
    public void A_new_rate_holds_from_the_next_write_on()
    {
        BandwidthLimit limit = new(null) { BytesPerSecond = Rate };

        // A write that has begun is not paid for by the new rate.
        Assert.Equal(Most, limit.Portion(Most));
        limit.Sent(Most);

        Assert.Equal(TimeSpan.Zero, limit.Pause);
        Assert.Equal(Rate / 20, limit.Portion(Most));
        limit.Sent(Rate);
        Assert.InRange(limit.Pause, TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(1));
        limit.BytesPerSecond = null;
        Assert.Equal((TimeSpan.Zero, Most), (limit.Pause, limit.Portion(Most)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void A_rate_is_at_least_1(long rate) => Assert.Throws<ArgumentOutOfRangeException>(() => new BandwidthLimit(rate));
}
