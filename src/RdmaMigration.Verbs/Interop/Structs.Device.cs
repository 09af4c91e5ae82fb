using System.Runtime.InteropServices;

// The members' names are C's: the ABI test finds each of them by name in the table that native/ compiles.
#pragma warning disable CS0649 // the native side fills them
namespace RdmaMigration.Verbs.Interop;

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_gid
{
    public ulong global_subnet_prefix;
    public ulong global_interface_id;
}

/// <summary>The table of functions between these fields belongs to native/; what follows is the library's own.</summary>
[StructLayout(LayoutKind.Explicit, Size = 328)]
internal struct ibv_context
{
    [FieldOffset(0)] public nint device;
    [FieldOffset(268)] public int async_fd;
}

/// <summary>The element is a union: a pointer to the object, or the number of the port.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ibv_async_event
{
    public nint element;
    public uint event_type;
}

/// <summary>The fields after <c>max_qp_init_rd_atom</c> are left out, but for the last.</summary>
[StructLayout(LayoutKind.Explicit, Size = 232)]
internal unsafe struct ibv_device_attr
{
    [FieldOffset(0)] public fixed byte fw_ver[64];
    [FieldOffset(64)] public ulong node_guid;
    [FieldOffset(72)] public ulong sys_image_guid;
    [FieldOffset(80)] public ulong max_mr_size;
    [FieldOffset(88)] public ulong page_size_cap;
    [FieldOffset(96)] public uint vendor_id;
    [FieldOffset(100)] public uint vendor_part_id;
    [FieldOffset(104)] public uint hw_ver;
    [FieldOffset(108)] public int max_qp;
    [FieldOffset(112)] public int max_qp_wr;
    [FieldOffset(116)] public uint device_cap_flags;
    [FieldOffset(120)] public int max_sge;
    [FieldOffset(124)] public int max_sge_rd;
    [FieldOffset(128)] public int max_cq;
    [FieldOffset(132)] public int max_cqe;
    [FieldOffset(136)] public int max_mr;
    [FieldOffset(140)] public int max_pd;
    [FieldOffset(144)] public int max_qp_rd_atom;
    [FieldOffset(148)] public int max_ee_rd_atom;
    [FieldOffset(152)] public int max_res_rd_atom;
    [FieldOffset(156)] public int max_qp_init_rd_atom;
    [FieldOffset(227)] public byte phys_port_cnt;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_port_attr
{
    public uint state;
    public uint max_mtu;
    public uint active_mtu;
    public int gid_tbl_len;
    public uint port_cap_flags;
    public uint max_msg_sz;
    public uint bad_pkey_cntr;
    public uint qkey_viol_cntr;
    public ushort pkey_tbl_len;
    public ushort lid;
    public ushort sm_lid;
    public byte lmc;
    public byte max_vl_num;
    public byte sm_sl;
    public byte subnet_timeout;
    public byte init_type_reply;
    public byte active_width;
    public byte active_speed;
    public byte phys_state;
    public byte link_layer;
    public byte flags;
    public ushort port_cap_flags2;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_odp_caps
{
    public ulong general_caps;
    public uint per_transport_caps_rc_odp_caps;
    public uint per_transport_caps_uc_odp_caps;
    public uint per_transport_caps_ud_odp_caps;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_mr
{
    public nint context;
    public nint pd;
    public nint addr;
    public nuint length;
    public uint handle;
    public uint lkey;
    public uint rkey;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_comp_channel
{
    public nint context;
    public int fd;
    public int refcnt;
}

/// <summary>The mutex, the condition and the event counts that follow are the library's own.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
internal struct ibv_cq
{
    public nint context;
    public nint channel;
    public nint cq_context;
    public uint handle;
    public int cqe;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct rdmamig_abi_fact
{
    public byte* name;
    public long value;
}
