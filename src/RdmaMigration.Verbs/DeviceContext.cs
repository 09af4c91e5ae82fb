using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>
/// An open device. From <see cref="RdmaDevice.Open"/> it belongs to the caller; as <see cref="CmId.Device"/> it is borrowed
/// from the id, and disposing it does nothing.
/// </summary>
/// <remarks>Thread-safe, but for Dispose against other calls. What was made from it keeps the device open past Dispose.</remarks>
public sealed unsafe class DeviceContext : IDisposable
{
    private readonly nint _context;
    private readonly bool _isBorrowed;

    internal DeviceContext(nint context, string name, DeviceContextHandle handle)
    {
        _context = context;
        DeviceName = name;
        Handle = handle;
    }

    internal DeviceContext(nint context, CmIdHandle lender)
    {
        _context = context;
        // ibv_context begins with a pointer to its ibv_device.
        DeviceName = Marshal.PtrToStringUTF8((nint)LibIbVerbs.ibv_get_device_name(*(nint*)context))!;
        Handle = lender;
        _isBorrowed = true;
    }

    /// <summary>The kernel's name of the device, for example mlx5_0 or rxe0.</summary>
    public string DeviceName { get; }

    /// <summary>Where the device reports failures of its own, of its ports and of what is on it.</summary>
    public AsyncEventChannel AsyncEvents => field ??= new AsyncEventChannel(this);

    /// <summary>What the device can do with memory that is not pinned; all false where it does not report it.</summary>
    /// <exception cref="VerbsException">The query failed.</exception>
    public OnDemandPagingSupport OnDemandPagingSupport
    {
        get
        {
            using VerbsHandle.Scope scope = Handle.Use();
            ibv_odp_caps caps;
            int errno = Shim.rdmamig_query_odp_caps(_context, &caps);
            if (errno is (int)Errno.EOPNOTSUPP or (int)Errno.ENOSYS)
            {
                return default;
            }

            if (errno != 0)
            {
                throw new VerbsException("ibv_query_device_ex", errno, DeviceName);
            }

            uint reliable = caps.per_transport_caps_rc_odp_caps;
            return new OnDemandPagingSupport(
                (caps.general_caps & Constants.IBV_ODP_SUPPORT) != 0,
                (caps.general_caps & Constants.IBV_ODP_SUPPORT_IMPLICIT) != 0,
                (reliable & Constants.IBV_ODP_SUPPORT_SEND) != 0,
                (reliable & Constants.IBV_ODP_SUPPORT_RECV) != 0,
                (reliable & Constants.IBV_ODP_SUPPORT_WRITE) != 0,
                (reliable & Constants.IBV_ODP_SUPPORT_READ) != 0);
        }
    }

    /// <summary>The handle that what is made from this device holds on to.</summary>
    internal VerbsHandle Handle { get; }

    /// <summary>The <c>ibv_context</c>. Only within a <see cref="VerbsHandle.Use"/> of <see cref="Handle"/>.</summary>
    internal nint Context => _context;

    /// <summary>Asks the device what it can do.</summary>
    /// <exception cref="VerbsException">The query failed.</exception>
    public DeviceAttributes QueryDevice()
    {
        using VerbsHandle.Scope scope = Handle.Use();
        ibv_device_attr attr;
        int errno = LibIbVerbs.ibv_query_device(_context, &attr);
        if (errno != 0)
        {
            throw new VerbsException("ibv_query_device", errno, DeviceName);
        }

        return new DeviceAttributes
        {
            FirmwareVersion = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(attr.fw_ver)),
            NodeGuid = BinaryPrimitives.ReverseEndianness(attr.node_guid),
            VendorId = attr.vendor_id,
            VendorPartId = attr.vendor_part_id,
            HardwareVersion = attr.hw_ver,
            MaxMemoryRegionSize = attr.max_mr_size,
            MaxQueuePairs = attr.max_qp,
            MaxWorkRequests = attr.max_qp_wr,
            MaxSge = attr.max_sge,
            MaxCompletionQueues = attr.max_cq,
            MaxCompletionQueueEntries = attr.max_cqe,
            MaxMemoryRegions = attr.max_mr,
            MaxProtectionDomains = attr.max_pd,
            MaxResponderResources = attr.max_qp_rd_atom,
            MaxInitiatorDepth = attr.max_qp_init_rd_atom,
            PortCount = attr.phys_port_cnt,
        };
    }

    /// <summary>Asks for the state of a port.</summary>
    /// <param name="port">From 1 to <see cref="DeviceAttributes.PortCount"/>.</param>
    /// <exception cref="VerbsException">There is no such port, or the query failed.</exception>
    public PortAttributes QueryPort(byte port)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        ibv_port_attr attr;
        int errno = Shim.rdmamig_query_port(_context, port, &attr);
        if (errno != 0)
        {
            throw new VerbsException("ibv_query_port", errno, $"{DeviceName} port {port}");
        }

        return new PortAttributes(
            (PortState)attr.state, (LinkLayer)attr.link_layer, MtuBytes(attr.max_mtu), MtuBytes(attr.active_mtu),
            attr.max_msg_sz, attr.gid_tbl_len, attr.lid);
    }

    /// <summary>Reads an entry of a port's GID table; an unused one is zero.</summary>
    /// <param name="port">From 1 to <see cref="DeviceAttributes.PortCount"/>.</param>
    /// <param name="index">From 0 to <see cref="PortAttributes.GidTableLength"/> - 1.</param>
    /// <exception cref="VerbsException">There is no such entry, or the query failed.</exception>
    public Gid QueryGid(byte port, int index)
    {
        using VerbsHandle.Scope scope = Handle.Use();
        ibv_gid gid;
        if (LibIbVerbs.ibv_query_gid(_context, port, index, &gid) != 0)
        {
            throw new VerbsException("ibv_query_gid", Marshal.GetLastPInvokeError(), $"{DeviceName} port {port} GID index {index}");
        }

        return new Gid(gid);
    }

    /// <summary>Reads the used entries of a port's GID table, with the type and the network interface that sysfs reports.</summary>
    /// <param name="port">From 1 to <see cref="DeviceAttributes.PortCount"/>.</param>
    /// <exception cref="VerbsException">There is no such port, or the query failed.</exception>
    public IReadOnlyList<GidEntry> QueryGids(byte port)
    {
        List<GidEntry> entries = new();
        PortAttributes attributes = QueryPort(port);
        string directory = $"/sys/class/infiniband/{DeviceName}/ports/{port}/gid_attrs";
        for (int index = 0; index < attributes.GidTableLength; index++)
        {
            // On RoCE an unused entry has no type.
            string? type = ReadAttribute($"{directory}/types/{index}");
            Gid gid = type is null ? default : QueryGid(port, index);
            if (!gid.IsZero)
            {
                entries.Add(new GidEntry(index, gid, ParseType(type!, attributes.LinkLayer), ReadAttribute($"{directory}/ndevs/{index}")));
            }
        }
        return entries;
    }

    /// <summary>Closes the device once nothing that was made from it is left. Does nothing for a borrowed one.</summary>
    public void Dispose()
    {
        if (!_isBorrowed)
        {
            Handle.Dispose();
        }
    }

    /// <inheritdoc/>
    public override string ToString() => DeviceName;

    internal static int MtuBytes(uint mtu) => mtu is 0 or > 5 ? 0 : 128 << (int)mtu;

    // "IB/RoCE v1" is one word of the kernel's for two things.
    private static GidType ParseType(string type, LinkLayer linkLayer) =>
        type == "RoCE v2" ? GidType.RoCEv2 : linkLayer == LinkLayer.Ethernet ? GidType.RoCEv1 : GidType.InfiniBand;

    // The kernel refuses to read the attributes of an unused entry (EINVAL), and has none for some kinds of port (ENOENT).
    private static string? ReadAttribute(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (IOException)
        {
            return null;
        }
    }
}
