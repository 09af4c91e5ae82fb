using RdmaMigration.Bench.Bars;

namespace RdmaMigration.Bench.Tests;

public sealed class RoundFiguresTests
{
    [Fact]
    public void A_round_is_held_against_the_bandwidth_around_it()
    {
        Passage[] passages = [Passage(Mode.Dynamic, 1000), Passage(Mode.PinAll, 500), Passage(Mode.PinAll, 1000), Passage(Mode.Dynamic, 2000)];
        RoundFigures figures = new(passages, [100, 60, 20]);

        Assert.Equal(0.8, figures.ShareOfBandwidth(Contestant(Mode.Dynamic)), tolerance: 1e-9); // 64 of 80, then 32 of 40
        Assert.Equal(1.6, figures.ShareOfBandwidth(Contestant(Mode.PinAll)), tolerance: 1e-9);
    }

    [Fact]
    public void A_bar_holds_up_to_its_bound_from_the_right_side()
    {
        Assert.True(new Bar("", 1.15, 1.15).Holds);
        Assert.False(new Bar("", 1.16, 1.15).Holds);
        Assert.True(new Bar("", 0.95, 0.95, IsMost: false).Holds);
        Assert.False(new Bar("", 0.94, 0.95, IsMost: false).Holds);
    }

    private static Passage Passage(Mode mode, double ramMilliseconds) =>
        new(Route.All[3], mode, new Workload(64, 0), ramMilliseconds + 100, 10, ramMilliseconds, default, default, default, default);

    private static Contestant Contestant(Mode mode) => new(null!, new Workload(64, 0), Route.All[3], mode);
}
