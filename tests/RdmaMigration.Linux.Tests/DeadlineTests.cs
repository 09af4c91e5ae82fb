using System.Diagnostics;

namespace RdmaMigration.Linux.Tests;

public class DeadlineTests
{
    [Fact]
    public void The_default_negative_and_immense_times_never_pass()
    {
        Deadline[] never = [default, Deadline.Never, Deadline.After(Timeout.InfiniteTimeSpan), Deadline.After(TimeSpan.MaxValue), Deadline.At(long.MaxValue)];
        Assert.All(never, deadline =>
        {
            Assert.True(deadline.IsNever);
            Assert.False(deadline.HasPassed);
            Assert.Equal(Timeout.InfiniteTimeSpan, deadline.Left);
            Assert.Equal(-1, deadline.Milliseconds);
            Assert.Equal(long.MaxValue, deadline.Timestamp);
        });
    }

    [Fact]
    public void A_time_that_is_over_leaves_zero()
    {
        Deadline passed = Deadline.After(TimeSpan.Zero);
        Assert.True(passed.HasPassed);
        Assert.Equal(TimeSpan.Zero, passed.Left);
        Assert.Equal(0, passed.Milliseconds);
        Assert.True(Deadline.Passed.HasPassed);
        Assert.Equal(0, Deadline.Passed.Milliseconds);
        Assert.True(Deadline.At(0).HasPassed);
    }

    [Fact]
    public void Milliseconds_are_rounded_up_so_that_a_wait_does_not_end_early()
    {
        long now = Stopwatch.GetTimestamp();
        Deadline soon = Deadline.After(TimeSpan.FromMinutes(1) + TimeSpan.FromMicroseconds(1), now);
        Assert.InRange(soon.Milliseconds, 50_000, 60_001);
        Assert.False(soon.HasPassedAt(now + (60 * Stopwatch.Frequency)));
        Assert.True(soon.HasPassedAt(now + (61 * Stopwatch.Frequency)));
    }

    [Fact]
    public void Weeks_are_cut_to_what_one_wait_of_the_runtime_allows()
    {
        Deadline far = Deadline.After(TimeSpan.FromDays(100));
        Assert.False(far.IsNever);
        Assert.Equal(int.MaxValue, far.Milliseconds);
        Assert.Equal(TimeSpan.FromMilliseconds(int.MaxValue), far.Left);
    }

    [Fact]
    public void The_earlier_of_two_is_the_one_that_passes_first()
    {
        Deadline soon = Deadline.After(TimeSpan.FromSeconds(1));
        Deadline later = Deadline.After(TimeSpan.FromSeconds(2));
        Assert.Equal(soon, Deadline.Earlier(later, soon));
        Assert.Equal(soon, Deadline.Earlier(soon, Deadline.Never));
        Assert.True(Deadline.Passed < soon && soon < later && later < Deadline.Never);
    }
}
