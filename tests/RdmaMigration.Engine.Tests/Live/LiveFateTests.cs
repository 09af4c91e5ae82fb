using RdmaMigration.Linux;

namespace RdmaMigration.Engine.Tests;

public sealed class LiveFateTests
{
    [Theory]
    [InlineData(Arrival.Proved, true, true, false, LiveFate.AtDestination)]
    [InlineData(Arrival.Unproved, true, true, false, LiveFate.AtDestination)]
    [InlineData(Arrival.Failed, false, false, false, LiveFate.StillHere)]
    [InlineData(Arrival.Failed, false, false, true, LiveFate.StillHere)]
    [InlineData(Arrival.Failed, true, false, false, LiveFate.BackHere)]
    [InlineData(Arrival.Failed, true, false, true, LiveFate.BackHere)]
    [InlineData(Arrival.Failed, true, true, true, LiveFate.BackHere)]
    [InlineData(Arrival.Failed, true, true, false, LiveFate.Unknown)]
    public void It_runs_here_only_when_it_cannot_run_there(object arrival, bool hasStopped, bool mayHaveStarted, bool isRefused, object expected)
    {
        Exception? failure = (Arrival)arrival is not Arrival.Failed ? null
            : isRefused ? new DestinationRefusedException("SHUT 1")
            : new MigrationException(FailureReason.Disconnected, "gone");
        Assert.Equal(expected, LiveFates.After(new DeliveryOutcome((Arrival)arrival, failure), hasStopped, mayHaveStarted));
    }
}
