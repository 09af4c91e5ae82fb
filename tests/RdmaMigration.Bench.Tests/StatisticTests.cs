namespace RdmaMigration.Bench.Tests;

public sealed class StatisticTests
{
    [Fact]
    public void The_median_stands_beside_the_least_and_the_most()
    {
        Assert.Equal(new Statistic(3, 1, 9), Statistic.Of([9, 1, 3]));
        Assert.Equal(new Statistic(2.5, 1, 9), Statistic.Of([9, 1, 3, 2]));
        Assert.Throws<ArgumentException>(() => Statistic.Of([]));
    }

    [Fact]
    public void One_value_is_written_without_a_range()
    {
        Assert.Equal("12.3", Statistic.Of([12.34]).ToText("0.0"));
        Assert.Equal("3 (1–9)", Statistic.Of([9, 1, 3]).ToText("0"));
    }

    [Fact]
    public void Every_round_has_every_item_once_and_another_one_first()
    {
        string[] items = ["a", "b", "c"];
        string[][] rounds = [.. Enumerable.Range(0, 4).Select(round => Interleaving.Turn(items, round).ToArray())];
        Assert.All(rounds, round => Assert.Equal(items, round.Order()));
        Assert.Equal(["abc", "acb", "cab", "cba"], rounds.Select(round => string.Concat(round)));
    }
}
