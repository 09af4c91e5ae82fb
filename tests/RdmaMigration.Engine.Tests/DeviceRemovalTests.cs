using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>The soft-RoCE device under a destination is deleted and comes back.</summary>
[Trait("needs", "rdma")]
public sealed class DeviceRemovalTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(30);

    private static readonly string s_device = Path.GetFileName(Directory.GetDirectories("/sys/class/infiniband").Order().First());
    private static readonly string s_network = File.ReadAllText($"/sys/class/infiniband/{s_device}/ports/1/gid_attrs/ndevs/0").Trim();

    [Fact]
    public async Task A_destination_that_waits_serves_again_once_its_device_is_back()
    {
        using RunningDestination destination = new();
        try
        {
            await LinkAsync("delete", s_device);
        }
        finally
        {
            await LinkAsync("add", s_device, "type", "rxe", "netdev", s_network);
        }

        NextOneWorks(destination);
    }

    [Fact]
    public async Task A_migration_fails_with_the_device_and_the_next_works_once_it_is_back()
    {
        using RunningDestination destination = new();
        try
        {
            Task removal;
            using (RdmaSource source = destination.Connect())
            {
                new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.HalfWritten);
                removal = LinkAsync("delete", s_device);
                MigrationInfo failed = destination.Ended();
                Assert.Equal((MigrationStatus.Failed, FailureReason.Unreachable), (failed.Status, failed.ErrorClass));
                Assert.Contains(s_device, failed.ErrorDescription, StringComparison.Ordinal);
            }

            await removal;
            Assert.False(File.Exists(destination.File));
        }
        finally
        {
            await LinkAsync("add", s_device, "type", "rxe", "netdev", s_network);
        }

        NextOneWorks(destination);
    }

    private static void NextOneWorks(RunningDestination destination)
    {
        RdmaSource? next = null;
        Assert.True(SpinWait.SpinUntil(() => (next = TryConnect(destination)) is not null, s_soon), "the destination does not listen again");
        using (next)
        {
            new SmallMachine(next!, pinAll: false).RunTo(SmallMachine.Step.Complete);
            Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        }
    }

    private static RdmaSource? TryConnect(RunningDestination destination)
    {
        try
        {
            return destination.Connect();
        }
        catch (IOException)
        {
            // The address has no device yet, or nobody listens there.
            return null;
        }
    }

    /// <summary>The kernel deletes a device only when every process has freed what it has on it.</summary>
    private static async Task LinkAsync(params string[] arguments)
    {
        using Process rdma = Process.Start("rdma", ["link", .. arguments]);
        await rdma.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(s_soon, TestContext.Current.CancellationToken);
        Assert.Equal(0, rdma.ExitCode);
    }
}
