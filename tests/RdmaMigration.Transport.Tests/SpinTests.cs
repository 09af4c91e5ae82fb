using System.Diagnostics;

namespace RdmaMigration.Transport.Tests;

public class SpinTests
{
    private static readonly TimeSpan s_time = TimeSpan.FromMilliseconds(1);

    [Fact]
    public void No_time_polls_never_and_a_negative_one_until_the_deadline()
    {
        Spin never = new(TimeSpan.Zero);
        never.Begin(long.MaxValue);
        Assert.False(never.Goes());

        Spin always = new(Timeout.InfiniteTimeSpan);
        long deadline = Stopwatch.GetTimestamp() + (Stopwatch.Frequency / 100);
        always.Begin(deadline);
        PollToTheEnd(always);
        always.End();
        Assert.True(Stopwatch.GetTimestamp() >= deadline);
        always.Begin(long.MaxValue);
        Assert.True(always.Goes());
    }

    [Fact]
    public void A_wait_that_lasts_makes_the_next_ones_park_at_once_until_one_is_short_again()
    {
        Spin spin = new(s_time);
        spin.Begin(long.MaxValue);
        Assert.True(spin.Goes());
        PollToTheEnd(spin);
        Until(Stopwatch.GetTimestamp() + (3 * Stopwatch.Frequency / 1000));
        spin.End();

        spin.Begin(long.MaxValue);
        Assert.False(spin.Goes());
        spin.End();

        spin.Begin(long.MaxValue);
        Assert.True(spin.Goes());
    }

    private static void PollToTheEnd(Spin spin)
    {
        while (spin.Goes())
        {
        }
    }

    private static void Until(long timestamp)
    {
        while (Stopwatch.GetTimestamp() < timestamp)
        {
        }
    }
}
