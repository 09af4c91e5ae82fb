using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>As <see cref="LibvirtTests"/>, over RDMA.</summary>
[Trait("needs", "rdma")]
public sealed class LibvirtRdmaTests(LibvirtBed bed) : IClassFixture<LibvirtBed>
{
    // libvirt requires it, and sets the limit when it starts QEMU, which needs a privilege that a host without RDMA may not have.
    private const string LockedMemory = "<memtune><hard_limit unit='GiB'>1</hard_limit></memtune>";

    [Fact]
    public async Task A_guest_goes_there_with_pin_all_and_back_without()
    {
        await bed.StartGuestAsync(LockedMemory);
        await bed.Home.RunAsync("suspend", LibvirtBed.Guest);
        string before = await bed.SaveMemoryAsync("before");
        string[] way = ["--migrateuri", $"rdma://{RdmaAddress.V4}"];

        Assert.Equal("paused", await bed.MoveAsync(bed.Home, [.. way, "--rdma-pin-all"]));
        Assert.Contains("connected, pin-all", await bed.Capture.LogAsync(LibvirtBed.Guest), StringComparison.Ordinal);

        // A QEMU listens at [::] only on InfiniBand.
        Assert.Equal("paused", await bed.MoveAsync(bed.Capture, [.. way, "--listen-address", $"{RdmaAddress.V4}"]));
        Assert.Equal(-1, GuestMemory.FirstDifference(before, await bed.SaveMemoryAsync("after")));
        await bed.Home.RunAsync("resume", LibvirtBed.Guest);
        await bed.GuestRunsAsync();
    }
}
