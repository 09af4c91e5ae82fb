using System.Diagnostics;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>The soft-RoCE device under a destination is deleted and comes back.</summary>
[Trait("needs", "rdma")]
public sealed class DeviceRemovalTests
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(60);

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
            await BringBackAsync();
        }

        NextOneWorks(destination);
    }

    /// <summary>The kernel reports the removal, or first that the source on the same device is gone.</summary>
    [Fact]
    public async Task A_migration_fails_with_the_device_and_the_next_works_once_it_is_back()
    {
        using RunningDestination destination = new();
        Task removal = Task.CompletedTask;
        try
        {
            using RdmaSource source = destination.Connect();
            new SmallMachine(source, pinAll: false).RunTo(SmallMachine.Step.HalfWritten);
            removal = LinkAsync("delete", s_device);
            MigrationInfo failed = destination.Ended();
            Assert.Equal(MigrationStatus.Failed, failed.Status);
            Assert.True(failed.ErrorClass is FailureReason.Unreachable or FailureReason.Disconnected, $"{failed}");
            Assert.Matches($"the device {s_device} .* was removed|disconnected", failed.ErrorDescription);
            Assert.False(File.Exists(destination.File));
        }
        finally
        {
            await removal;
            await BringBackAsync();
        }

        NextOneWorks(destination);
    }

    /// <summary>Adds the device unless it is there: then the test has failed before, and says why.</summary>
    private static Task BringBackAsync() => Directory.Exists($"/sys/class/infiniband/{s_device}")
        ? Task.CompletedTask
        : LinkAsync("add", s_device, "type", "rxe", "netdev", s_network);

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
