namespace RdmaMigration.Engine.Tests;

public sealed class ConvergenceTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public void Nothing_is_known_before_the_first_pass()
    {
        Convergence convergence = new();
        Assert.Equal((0.0, TimeSpan.Zero, TimeSpan.MaxValue), (convergence.Bandwidth, convergence.TimeFor(0), convergence.TimeFor(1)));
    }

    [Fact]
    public void The_last_passes_count()
    {
        Convergence convergence = new();
        convergence.OnPass(1000 * MiB, TimeSpan.FromSeconds(1));
        convergence.OnPass(100 * MiB, TimeSpan.FromSeconds(1));
        Assert.InRange(convergence.Bandwidth / MiB, 100, 150);
        Assert.InRange(convergence.TimeFor(100 * MiB), TimeSpan.FromSeconds(0.6), TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void A_short_pass_changes_little()
    {
        Convergence convergence = new();
        convergence.OnPass(100 * MiB, TimeSpan.FromSeconds(1));
        convergence.OnPass(4096, TimeSpan.FromMilliseconds(1));
        Assert.InRange(convergence.Bandwidth / MiB, 90, 100);
    }

    [Theory]
    [InlineData(241, 0, 241, false)]
    [InlineData(191, 50, 191, false)]
    [InlineData(75, 0, 0, true)]
    [InlineData(239, 0, 79, false)]
    [InlineData(239, 0, 81, true)]
    [InlineData(150, 50, 59, false)]
    [InlineData(150, 50, 61, true)]
    public void A_stop_that_is_short_enough_is_shortened_while_a_pass_leaves_a_fifth_less(int expected, int collecting, int dirtied, bool hasConverged)
    {
        Convergence convergence = new();
        convergence.OnPass(100 * MiB, TimeSpan.FromSeconds(1));
        Assert.Equal(
            hasConverged,
            convergence.HasConverged(
                TimeSpan.FromMilliseconds(expected), TimeSpan.FromMilliseconds(collecting), TimeSpan.FromMilliseconds(300), dirtied * (double)MiB));
    }

    [Fact]
    public void A_stop_is_shortened_by_three_passes_at_most()
    {
        Convergence convergence = new();
        convergence.OnPass(100 * MiB, TimeSpan.FromSeconds(1));
        TimeSpan limit = TimeSpan.FromMilliseconds(300);
        Assert.Equal([false, false, false, true], Enumerable.Range(0, 4).Select(_ => convergence.HasConverged(limit / 2, TimeSpan.Zero, limit, 0)));
    }

    [Fact]
    public void A_program_is_slowed_each_second_time_that_it_writes_too_fast()
    {
        AutoConverge autoConverge = new(threshold: 50, initial: 20, increment: 50, most: 99);
        TimeSpan pass = TimeSpan.FromSeconds(1);
        Assert.Equal(
            [(false, 0), (true, 20), (false, 20), (true, 70), (false, 70), (true, 99), (false, 99), (false, 99)],
            Enumerable.Range(0, 8).Select(_ => (autoConverge.OnPass(dirtied: 51, sent: 100, pass), autoConverge.Percentage)));
    }

    [Fact]
    public void A_program_that_writes_half_of_what_is_sent_is_not_slowed()
    {
        AutoConverge autoConverge = new(threshold: 50, initial: 20, increment: 10, most: 99);
        Assert.All(Enumerable.Range(0, 10), _ => Assert.False(autoConverge.OnPass(dirtied: 50, sent: 100, TimeSpan.FromSeconds(1))));
    }

    [Fact]
    public void The_share_of_what_is_sent_at_which_a_program_is_slowed_can_be_chosen()
    {
        TimeSpan pass = TimeSpan.FromSeconds(1);
        Assert.Equal((false, true), (IsSlowed(dirtied: 80), IsSlowed(dirtied: 81)));

        bool IsSlowed(long dirtied)
        {
            AutoConverge autoConverge = new(threshold: 80, initial: 20, increment: 10, most: 99);
            return autoConverge.OnPass(dirtied, sent: 100, pass) | autoConverge.OnPass(dirtied, sent: 100, pass);
        }
    }

    [Fact]
    public void Short_passes_are_judged_together()
    {
        AutoConverge autoConverge = new(threshold: 50, initial: 20, increment: 10, most: 99);
        Assert.Equal(
            39, Enumerable.Range(0, 100).TakeWhile(_ => !autoConverge.OnPass(dirtied: 100, sent: 100, TimeSpan.FromMilliseconds(10))).Count());
    }
}
