using System.Runtime.InteropServices;

// The members' names are C's: the ABI test finds each of them by name in the table that native/ compiles.
#pragma warning disable CS0649 // the native side fills them
namespace RdmaMigration.Verbs.Interop;

/// <summary>The state, the mutex and the event counts that follow are the library's own.</summary>
[StructLayout(LayoutKind.Sequential, Size = 160)]
internal struct ibv_qp
{
    public nint context;
    public nint qp_context;
    public nint pd;
    public nint send_cq;
    public nint recv_cq;
    public nint srq;
    public uint handle;
    public uint qp_num;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_qp_cap
{
    public uint max_send_wr;
    public uint max_recv_wr;
    public uint max_send_sge;
    public uint max_recv_sge;
    public uint max_inline_data;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_qp_init_attr
{
    public nint qp_context;
    public nint send_cq;
    public nint recv_cq;
    public nint srq;
    public ibv_qp_cap cap;
    public uint qp_type;
    public int sq_sig_all;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_global_route
{
    public ibv_gid dgid;
    public uint flow_label;
    public byte sgid_index;
    public byte hop_limit;
    public byte traffic_class;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_ah_attr
{
    public ibv_global_route grh;
    public ushort dlid;
    public byte sl;
    public byte src_path_bits;
    public byte static_rate;
    public byte is_global;
    public byte port_num;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_qp_attr
{
    public uint qp_state;
    public uint cur_qp_state;
    public uint path_mtu;
    public uint path_mig_state;
    public uint qkey;
    public uint rq_psn;
    public uint sq_psn;
    public uint dest_qp_num;
    public uint qp_access_flags;
    public ibv_qp_cap cap;
    public ibv_ah_attr ah_attr;
    public ibv_ah_attr alt_ah_attr;
    public ushort pkey_index;
    public ushort alt_pkey_index;
    public byte en_sqd_async_notify;
    public byte sq_draining;
    public byte max_rd_atomic;
    public byte max_dest_rd_atomic;
    public byte min_rnr_timer;
    public byte port_num;
    public byte timeout;
    public byte retry_cnt;
    public byte rnr_retry;
    public byte alt_port_num;
    public byte alt_timeout;
    public uint rate_limit;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_sge
{
    public ulong addr;
    public uint length;
    public uint lkey;
}

/// <summary>The arm of the union that RDMA reads and writes use; what follows it stays zero.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
internal unsafe struct ibv_send_wr
{
    public ulong wr_id;
    public ibv_send_wr* next;
    public ibv_sge* sg_list;
    public int num_sge;
    public uint opcode;
    public uint send_flags;
    public uint imm_data;
    public ulong wr_rdma_remote_addr;
    public uint wr_rdma_rkey;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ibv_recv_wr
{
    public ulong wr_id;
    public ibv_recv_wr* next;
    public ibv_sge* sg_list;
    public int num_sge;
}

[StructLayout(LayoutKind.Sequential)]
internal struct ibv_wc
{
    public ulong wr_id;
    public uint status;
    public uint opcode;
    public uint vendor_err;
    public uint byte_len;
    public uint imm_data;
    public uint qp_num;
    public uint src_qp;
    public uint wc_flags;
    public ushort pkey_index;
    public ushort slid;
    public byte sl;
    public byte dlid_path_bits;
}
