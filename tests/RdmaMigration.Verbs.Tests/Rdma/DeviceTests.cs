using System.Net.Sockets;

namespace RdmaMigration.Verbs.Tests.Rdma;

[Trait("needs", "rdma")]
public sealed unsafe class DeviceTests
{
    [Fact]
    public void Device_has_the_name_and_the_GUID_that_sysfs_tells()
    {
        RdmaDevice device = TestHost.Device;
        string guid = File.ReadAllText($"/sys/class/infiniband/{device.Name}/node_guid").Trim().Replace(":", "", StringComparison.Ordinal);
        Assert.Equal(guid, $"{device.NodeGuid:x16}");
        using DeviceContext context = device.Open();
        Assert.Equal(device.Name, context.DeviceName);
        Assert.Equal(device.NodeGuid, context.QueryDevice().NodeGuid);
    }

    [Fact]
    public void Device_attributes_are_plausible()
    {
        using DeviceContext context = TestHost.Device.Open();
        DeviceAttributes attributes = context.QueryDevice();
        Assert.True(attributes.PortCount >= 1);
        Assert.All(
            [attributes.MaxQueuePairs, attributes.MaxWorkRequests, attributes.MaxSge, attributes.MaxCompletionQueues, attributes.MaxCompletionQueueEntries,
                attributes.MaxMemoryRegions, attributes.MaxProtectionDomains, attributes.MaxResponderResources, attributes.MaxInitiatorDepth],
            value => Assert.True(value > 0));
        Assert.True(attributes.MaxMemoryRegionSize >= 1 << 30);
    }

    [Fact]
    public void Port_and_GID_table_agree_with_sysfs()
    {
        using DeviceContext context = TestHost.Device.Open();
        PortAttributes port = context.QueryPort(1);
        string directory = $"/sys/class/infiniband/{context.DeviceName}/ports/1";
        Assert.Equal(PortState.Active, port.State);
        Assert.Equal(File.ReadAllText($"{directory}/link_layer").Trim(), port.LinkLayer.ToString());
        Assert.InRange(port.ActiveMtu, 256, port.MaxMtu);
        IReadOnlyList<GidEntry> gids = context.QueryGids(1);
        Assert.NotEmpty(gids);
        Assert.All(gids, entry =>
        {
            Assert.Equal(File.ReadAllText($"{directory}/gids/{entry.Index}").Trim(), entry.Gid.ToString());
            Assert.Equal(entry.Gid, context.QueryGid(1, entry.Index));
            Assert.Equal(File.ReadAllText($"{directory}/gid_attrs/ndevs/{entry.Index}").Trim(), entry.NetworkDevice);
        });
        Assert.Contains(gids, entry => entry.Gid.ToIPAddress().AddressFamily == AddressFamily.InterNetwork);
    }

    [Fact]
    public void Query_of_a_port_that_does_not_exist_names_device_and_port()
    {
        using DeviceContext context = TestHost.Device.Open();
        VerbsException exception = Assert.Throws<VerbsException>(() => context.QueryPort(200));
        Assert.Contains($"{context.DeviceName} port 200", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void On_demand_registration_works_where_the_device_says_so_and_is_refused_where_not()
    {
        using DeviceContext context = TestHost.Device.Open();
        using ProtectionDomain domain = ProtectionDomain.Allocate(context);
        byte[] memory = GC.AllocateArray<byte>(4096, pinned: true);
        nint address = (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref memory[0]);
        if (context.OnDemandPagingSupport.IsSupported)
        {
            using MemoryRegion region = domain.Register(address, 4096, MemoryAccess.LocalWrite | MemoryAccess.OnDemand);
            Assert.NotEqual(0u, region.LocalKey);
            domain.TryPrefetch(region, 0, 4096, forWrite: true);
        }
        else
        {
            Assert.Throws<VerbsException>(() => domain.Register(address, 4096, MemoryAccess.LocalWrite | MemoryAccess.OnDemand));
        }
    }

    [Fact]
    public void Prefetch_outside_of_the_region_is_refused()
    {
        using DeviceContext context = TestHost.Device.Open();
        using ProtectionDomain domain = ProtectionDomain.Allocate(context);
        byte[] memory = GC.AllocateArray<byte>(4096, pinned: true);
        using MemoryRegion region = domain.Register((nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref memory[0]), 4096, MemoryAccess.LocalWrite);
        Assert.Throws<ArgumentOutOfRangeException>(() => domain.TryPrefetch(region, 1, 4096, forWrite: false));
        Assert.Throws<ArgumentOutOfRangeException>(() => domain.TryPrefetch(region, 4097, 0, forWrite: false));
    }

    [Fact]
    public void Registering_unmapped_memory_names_the_device_and_the_size()
    {
        using DeviceContext context = TestHost.Device.Open();
        using ProtectionDomain domain = ProtectionDomain.Allocate(context);
        VerbsException exception = Assert.Throws<VerbsException>(() => domain.Register(4096, 1 << 20, MemoryAccess.LocalWrite));
        Assert.Equal("ibv_reg_mr", exception.Call);
        Assert.Contains($"{context.DeviceName}, 1024 KiB", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Completion_queue_of_more_entries_than_the_device_has_is_refused()
    {
        using DeviceContext context = TestHost.Device.Open();
        int tooMany = context.QueryDevice().MaxCompletionQueueEntries + 1;
        VerbsException exception = Assert.Throws<VerbsException>(() => CompletionQueue.Create(context, tooMany, null));
        Assert.Contains($"{tooMany} entries", exception.Message, StringComparison.Ordinal);
    }
}
