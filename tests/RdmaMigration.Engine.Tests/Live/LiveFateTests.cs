namespace RdmaMigration.Engine.Tests;

public sealed class LiveFateTests
{
    [Theory]
    [InlineData(Arrival.Proved, true, true, LiveFate.AtDestination)]
    [InlineData(Arrival.Unproved, true, true, LiveFate.AtDestination)]
    [InlineData(Arrival.Failed, false, false, LiveFate.StillHere)]
    [InlineData(Arrival.Refused, false, false, LiveFate.StillHere)]
    [InlineData(Arrival.Failed, true, false, LiveFate.BackHere)]
    [InlineData(Arrival.Refused, true, false, LiveFate.BackHere)]
    [InlineData(Arrival.Refused, true, true, LiveFate.BackHere)]
    [InlineData(Arrival.Failed, true, true, LiveFate.Unknown)]
    public void It_runs_here_only_when_it_cannot_run_there(object arrival, bool hasStopped, bool mayHaveStarted, object expected) =>
        Assert.Equal(expected, LiveFates.After((Arrival)arrival, hasStopped, mayHaveStarted));
}
