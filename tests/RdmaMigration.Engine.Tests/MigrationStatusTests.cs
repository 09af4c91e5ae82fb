namespace RdmaMigration.Engine.Tests;

public sealed class MigrationStatusTests
{
    [Theory]
    [InlineData(MigrationStatus.None, MigrationStatus.Setup)]
    [InlineData(MigrationStatus.Setup, MigrationStatus.Active)]
    [InlineData(MigrationStatus.Active, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Active, MigrationStatus.Failed)]
    [InlineData(MigrationStatus.Active, MigrationStatus.Cancelling)]
    [InlineData(MigrationStatus.Cancelling, MigrationStatus.Cancelled)]
    [InlineData(MigrationStatus.Failed, MigrationStatus.Setup)]
    public void QemusTransitionsAreAllowed(MigrationStatus from, MigrationStatus to) => Assert.True(to.MayFollow(from));

    [Fact]
    public void ACancelThatCameTooLateEndsAsCompleted() => Assert.True(MigrationStatus.Completed.MayFollow(MigrationStatus.Cancelling));

    [Theory]
    [InlineData(MigrationStatus.None, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Setup, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Cancelling, MigrationStatus.Failed)]
    [InlineData(MigrationStatus.Failed, MigrationStatus.Completed)]
    [InlineData(MigrationStatus.Completed, MigrationStatus.Failed)]
    public void OthersAreNot(MigrationStatus from, MigrationStatus to) => Assert.False(to.MayFollow(from));
}
