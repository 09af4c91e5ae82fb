using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// A row of the matrix of faults for each kind that no other test has; `rdmamig-bench faults` runs the whole matrix, with a QEMU at either end or both.
/// <see cref="SilentSourceTests"/> and <see cref="SilentDestinationTests"/> unplug a host, <see cref="ContainerFaultTests"/> freezes and kills one.
/// </summary>
public sealed class FaultTests(FaultHosts hosts, ITestOutputHelper output) : IClassFixture<FaultHosts>
{
    private const MigrationProgram Qemu = MigrationProgram.Qemu;
    private const MigrationProgram Rdmamig = MigrationProgram.Rdmamig;

    [Theory]
    [InlineData(FaultKind.Loss, Rdmamig, Rdmamig)]
    [InlineData(FaultKind.Loss, Qemu, Rdmamig)]
    [InlineData(FaultKind.Delay, Rdmamig, Rdmamig)]
    [InlineData(FaultKind.Reordering, Rdmamig, Rdmamig)]
    [InlineData(FaultKind.Duplication, Rdmamig, Rdmamig)]
    [InlineData(FaultKind.PathMtu, Rdmamig, Rdmamig)]
    [InlineData(FaultKind.PathMtu, Rdmamig, Qemu)]
    [InlineData(FaultKind.Ipv6, Rdmamig, Rdmamig)]
    public async Task A_machine_arrives_over_a_bad_network(FaultKind kind, MigrationProgram from, MigrationProgram to) =>
        await HoldsAsync(new FaultCase(kind, FaultPhase.Throughout, FaultSide.Between, from, to));

    [Theory]
    [InlineData(FaultKind.DiskFull, FaultPhase.Throughout, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.DiskFull, FaultPhase.Throughout, FaultSide.Destination, Qemu)]
    [InlineData(FaultKind.MemoryLimit, FaultPhase.Throughout, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.LinkDown, FaultPhase.Ram, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.DeviceRemoved, FaultPhase.Ram, FaultSide.Source, Rdmamig)]
    [InlineData(FaultKind.RelayKilled, FaultPhase.Ram, FaultSide.Between, Rdmamig)]
    public async Task A_fault_is_reported_in_time_and_the_next_migration_works(FaultKind kind, FaultPhase phase, FaultSide side, MigrationProgram from) =>
        await HoldsAsync(new FaultCase(kind, phase, side, from, Rdmamig));

    private async Task HoldsAsync(FaultCase fault)
    {
        Assert.Contains(fault, FaultCase.All);
        FaultRow row = await hosts.RunAsync(fault);
        output.WriteLine(row.ToString());
        Assert.Empty(row.Broken);
        Assert.True(row.IsIdentical);
    }
}
