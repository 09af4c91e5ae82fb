using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs.Tests;

public sealed class SupportTests
{
    private const string Absent = "librdmamig-absent.so.1";

    private static bool HostHasDevice => Directory.Exists("/sys/class/infiniband") && Directory.EnumerateFileSystemEntries("/sys/class/infiniband").Any();

    [Fact]
    public void Missing_libibverbs_is_a_reason_that_names_the_package()
    {
        string? reason = NativeLibraries.Probe(Absent, NativeLibraries.ConnectionManager, () => true, out nint verbs, out nint connectionManager);
        Assert.Contains(Absent, reason, StringComparison.Ordinal);
        Assert.Contains("apt-get install libibverbs1", reason, StringComparison.Ordinal);
        Assert.Equal((0, 0), (verbs, connectionManager));
    }

    [Fact]
    public void Missing_librdmacm_is_a_reason_that_names_the_package()
    {
        string? reason = NativeLibraries.Probe(NativeLibraries.Verbs, Absent, () => true, out _, out nint connectionManager);
        Assert.Contains("apt-get install librdmacm1", reason, StringComparison.Ordinal);
        Assert.Equal(0, connectionManager);
    }

    [Fact]
    public void Missing_shim_is_a_reason_that_names_the_file()
    {
        string? reason = NativeLibraries.Probe(NativeLibraries.Verbs, NativeLibraries.ConnectionManager, () => false, out _, out _);
        Assert.Contains("librdmamig_verbs.so", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Installed_libraries_are_found_under_their_versioned_names()
    {
        Assert.Null(RdmaSupport.MissingLibraryReason);
        Assert.Null(NativeLibraries.Probe(NativeLibraries.Verbs, NativeLibraries.ConnectionManager, () => true, out nint verbs, out nint connectionManager));
        Assert.True(NativeLibrary.TryGetExport(verbs, "ibv_open_device", out _));
        Assert.True(NativeLibrary.TryGetExport(connectionManager, "rdma_create_id", out _));
    }

    [Fact]
    public void Support_depends_on_whether_this_host_has_a_device()
    {
        Assert.Equal(HostHasDevice, RdmaSupport.IsSupported);
        Assert.Equal(HostHasDevice, RdmaSupport.UnsupportedReason is null);
        Assert.Equal(HostHasDevice, RdmaDevice.GetDevices().Count > 0);
    }

    [Fact]
    public void Event_channel_of_a_host_without_device_is_refused_with_the_reason()
    {
        if (HostHasDevice)
        {
            using EventChannel channel = EventChannel.Create();
            Assert.True(channel.FileDescriptor >= 0);
        }
        else
        {
            PlatformNotSupportedException exception = Assert.Throws<PlatformNotSupportedException>(EventChannel.Create);
            Assert.Equal(RdmaSupport.UnsupportedReason, exception.Message);
        }
    }
}
