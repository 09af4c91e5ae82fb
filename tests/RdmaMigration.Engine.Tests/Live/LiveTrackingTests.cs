using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A machine that writes all the time moves with each kind of dirty tracking. A newer kernel has another best kind than an older one.</summary>
[Trait("kernel", "newer")]
public sealed class LiveTrackingTests
{
    /// <summary>
    /// The kinds that work on this kernel for this user, and those that this kernel must have, which fail here when they do not work: explicit marking
    /// everywhere, asynchronous write protection since Linux 6.7, and in the guest of the rig, where the tests are root, the other two.
    /// </summary>
    public static TheoryData<string> Kinds => [.. Names];

    public static TheoryData<string, bool> KindsOverRdma => [.. Names.Select(name => (name, false)), .. Names.Select(name => (name, true))];

    private static IEnumerable<string> Names => Enum.GetValues<DirtyTracking>().Where(kind => IsRequired(kind) || Works(kind)).Select(kind => $"{kind}");

    [Theory]
    [MemberData(nameof(Kinds))]
    public void No_write_is_lost(string kind) => PassToAndFro(kind, () => LiveMigrationTests.Anywhere("tcp"), static options => options);

    [Theory]
    [Trait("needs", "rdma")]
    [MemberData(nameof(KindsOverRdma))]
    public void No_write_is_lost_over_RDMA(string kind, bool pinAll) => PassToAndFro(
        kind, static () => new RdmaUri(RdmaAddress.V4.ToString(), 0), options => options.With(MigrationParameters.PinAll, pinAll));

    /// <summary>The machine comes back once, so each process tracks its writes, one of them twice. Each arrival is compared with what was written.</summary>
    private static void PassToAndFro(string kind, Func<MigrationUri> where, Func<OutgoingOptions, OutgoingOptions> configure)
    {
        DirtyTracking tracking = Enum.Parse<DirtyTracking>(kind);
        using RunningMachine one = new(Create);
        using RunningMachine other = new(Create);
        (RunningMachine source, RunningMachine destination) = (one, other);
        for (int i = 0; i < 3; i++)
        {
            LiveInfo live = LiveMigrationTests.Migrate(source, destination, where(), configure).Live!;
            TestContext.Current.TestOutputHelper?.WriteLine($"{live}");
            Assert.Equal(tracking, live.Tracking);
            Assert.InRange(live.Iterations, 2, int.MaxValue);
            (source, destination) = (destination, source);
        }

        WritingMachine Create(RunningMachine self) => new(() => self.Loop.Lock.IsHeld) { Tracking = tracking };
    }

    private static bool IsRequired(DirtyTracking kind) => kind switch
    {
        DirtyTracking.Explicit => true,
        DirtyTracking.WriteProtectAsync => Environment.OSVersion.Version >= new Version(6, 7),
        _ => Environment.GetEnvironmentVariable("SOFTROCE") is "tcg" or "kvm",
    };

    private static bool Works(DirtyTracking kind)
    {
        using RamBlock block = RamBlock.Allocate("tracked", 16 * RamBlock.LengthUnit);
        try
        {
            DirtyTrackers.Create([block], kind, static _ => { }).Dispose();
            return true;
        }
        catch (MigrationException)
        {
            return false;
        }
    }
}
