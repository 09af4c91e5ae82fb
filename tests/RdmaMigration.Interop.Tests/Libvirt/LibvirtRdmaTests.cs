using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="LibvirtTests"/>, over RDMA.</summary>
[Trait("needs", "rdma")]
public sealed class LibvirtRdmaTests(LibvirtBed bed) : IClassFixture<LibvirtBed>
{
    // libvirt requires it, and sets the limit when it starts QEMU, which needs a privilege that a host without RDMA may not have.
    private const string LockedMemory = "<memtune><hard_limit unit='GiB'>1</hard_limit></memtune>";

    [Theory]
    [InlineData("dynamic")]
    [InlineData("pin-all", "--rdma-pin-all")]
    public async Task A_guest_goes_there_and_back_with_the_same_memory(string mode, params string[] options)
    {
        await bed.StartGuestAsync(LockedMemory);
        await bed.Home.RunAsync("suspend", LibvirtBed.Guest);
        string before = await bed.SaveMemoryAsync("before");
        string[] way = ["--migrateuri", $"rdma://{RdmaAddress.V4}", .. options];

        Assert.Equal("paused", await bed.MoveAsync(bed.Home, way));

        // A QEMU listens at [::] only on InfiniBand.
        Assert.Equal("paused", await bed.MoveAsync(bed.Capture, [.. way, "--listen-address", $"{RdmaAddress.V4}"]));

        Assert.Contains($"connected, {mode}", await bed.Capture.LogAsync(LibvirtBed.Guest), StringComparison.Ordinal);
        Assert.Equal(-1, GuestMemory.FirstDifference(before, await bed.SaveMemoryAsync("after")));
        await bed.Home.RunAsync("resume", LibvirtBed.Guest);
        await bed.GuestRunsAsync();
    }
}
