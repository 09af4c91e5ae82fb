using RdmaMigration.Testing;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>
/// Cells of the matrix that `rdmamig-bench faults` prints: each kind of fault once.
/// <see cref="SilentSourceTests"/> and <see cref="SilentDestinationTests"/> unplug a host, <see cref="ContainerFaultTests"/> freezes and kills one.
/// </summary>
public sealed class FaultTests(FaultHosts hosts, ITestOutputHelper output) : IClassFixture<FaultHosts>
{
    private const MigrationProgram Qemu = MigrationProgram.Qemu;
    private const MigrationProgram Rdmamig = MigrationProgram.Rdmamig;

    [Theory]
    [InlineData(FaultKind.Loss)]
    [InlineData(FaultKind.Delay)]
    [InlineData(FaultKind.Duplication)]
    [InlineData(FaultKind.PathMtu)]
    [InlineData(FaultKind.Ipv6)]
    public async Task A_machine_arrives_over_a_network_with(FaultKind kind) =>
        await HoldsAsync(new FaultCase(kind, FaultPhase.Throughout, FaultSide.Between, Rdmamig, Rdmamig));

    [Theory]
    [InlineData(FaultKind.DeviceRemoved, FaultPhase.Ram, FaultSide.Source, Rdmamig)]
    [InlineData(FaultKind.DeviceRemoved, FaultPhase.Ram, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.DiskFull, FaultPhase.Throughout, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.DiskFull, FaultPhase.Throughout, FaultSide.Destination, Qemu)]
    [InlineData(FaultKind.MemoryLimit, FaultPhase.Throughout, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.RelayKilled, FaultPhase.Ram, FaultSide.Between, Rdmamig)]
    [InlineData(FaultKind.RelayKilled, FaultPhase.Result, FaultSide.Between, Rdmamig)]
    [InlineData(FaultKind.Unplugged, FaultPhase.Setup, FaultSide.Destination, Rdmamig)]
    [InlineData(FaultKind.HostKilled, FaultPhase.Device, FaultSide.Source, Qemu)]
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
