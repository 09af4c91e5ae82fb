namespace RdmaMigration.Engine.Tests;

/// <summary>What becomes of a machine that was sent on, in every case.</summary>
public sealed class MachineFateTests
{
    [Theory]
    [InlineData("Proved", true, true, "AtDestination")]
    [InlineData("Proved", true, false, "AtDestination")]
    [InlineData("Proved", false, true, "AtDestination")]
    [InlineData("Proved", false, false, "AtDestination")]
    [InlineData("Unproved", true, true, "AlsoSaved")]
    [InlineData("Unproved", true, false, "AtDestination")]
    [InlineData("Unproved", false, true, "AlsoSaved")]
    [InlineData("Unproved", false, false, "AtDestination")]
    [InlineData("Refused", true, true, "AtSource")]
    [InlineData("Refused", true, false, "AtSource")]
    [InlineData("Refused", false, true, "Saved")]
    [InlineData("Refused", false, false, "Unsaved")]
    [InlineData("Failed", true, true, "AtSource")]
    [InlineData("Failed", true, false, "AtSource")]
    [InlineData("Failed", false, true, "Saved")]
    [InlineData("Failed", false, false, "Unsaved")]
    public void Arrival_source_and_rescue_decide_what_becomes_of_a_machine(string arrival, bool sourceWaits, bool canSave, string expected) =>
        Assert.Equal(Enum.Parse<MachineFate>(expected), MachineFates.After(Enum.Parse<Arrival>(arrival), sourceWaits, canSave));
}
