namespace RdmaMigration.Engine.Tests;

public sealed class MigrationStatusTests
{
    [Theory]
    [InlineData(MigrationStatus.None, MigrationStatus.Setup)]
    [InlineData(MigrationStatus.Setup, MigrationStatus.Active)]
    [InlineData(MigrationStatus.Active, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Active, MigrationStatus.Failed)]
    [InlineData(MigrationStatus.Active, MigrationStatus.Cancelling)]
    [InlineData(MigrationStatus.Active, MigrationStatus.PreSwitchover)]
    [InlineData(MigrationStatus.PreSwitchover, MigrationStatus.Device)]
    [InlineData(MigrationStatus.PreSwitchover, MigrationStatus.Cancelling)]
    [InlineData(MigrationStatus.PreSwitchover, MigrationStatus.Failed)]
    [InlineData(MigrationStatus.Cancelling, MigrationStatus.Cancelled)]
    [InlineData(MigrationStatus.Failed, MigrationStatus.Setup)]
    public void Transitions_that_QEMU_makes_are_allowed(object from, object to) => Assert.True(((MigrationStatus)to).MayFollow((MigrationStatus)from));

    [Fact]
    public void A_cancel_that_came_too_late_ends_as_completed() => Assert.True(MigrationStatus.Completed.MayFollow(MigrationStatus.Cancelling));

    [Theory]
    [InlineData(MigrationStatus.None, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Setup, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.PreSwitchover, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Device, MigrationStatus.PreSwitchover)]
    [InlineData(MigrationStatus.Cancelling, MigrationStatus.Failed)]
    [InlineData(MigrationStatus.Failed, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Completed, MigrationStatus.Failed)]
    public void Other_transitions_are_not_allowed(object from, object to) => Assert.False(((MigrationStatus)to).MayFollow((MigrationStatus)from));
}
