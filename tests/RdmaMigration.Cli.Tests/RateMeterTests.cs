using RdmaMigration.Cli.Reports;

namespace RdmaMigration.Cli.Tests;

public class RateMeterTests
{
    private readonly RateMeter _meter = new();

    [Fact]
    public void One_sample_has_no_rate() => Assert.Equal(0, Add(3, 1000));

    [Fact]
    public void A_steady_stream_has_its_rate()
    {
        Add(0, 0);
        for (int second = 1; second < 60; second++)
        {
            Assert.Equal(100, Add(second, second * 100));
        }
    }

    [Fact]
    public void A_stall_is_seen_within_the_window()
    {
        Add(0, 0);
        Add(1, 1000);
        for (int second = 2; second < 6; second++)
        {
            Add(second, 1000);
        }

        Assert.Equal(0, Add(6, 1000));
    }

    [Fact]
    public void A_count_that_goes_back_starts_anew()
    {
        Add(0, 0);
        Add(1, 1000);

        Assert.Equal(0, Add(2, 10));
        Assert.Equal(5, Add(4, 20));
    }

    private double Add(double seconds, long bytes) => _meter.Add(TimeSpan.FromSeconds(seconds), bytes);
}
