using System.Runtime.InteropServices;

// The members' names are C's: the ABI test finds each of them by name in the table that native/ compiles.
#pragma warning disable CS0649 // the native side fills them
namespace RdmaMigration.Verbs.Interop;

[StructLayout(LayoutKind.Sequential)]
internal struct rdma_event_channel
{
    public int fd;
}

/// <summary>The addresses are <c>sockaddr_storage</c>; what is left out belongs to the library.</summary>
[StructLayout(LayoutKind.Explicit, Size = 416)]
internal unsafe struct rdma_cm_id
{
    [FieldOffset(0)] public nint verbs;
    [FieldOffset(8)] public nint channel;
    [FieldOffset(16)] public nint context;
    [FieldOffset(24)] public ibv_qp* qp;
    [FieldOffset(32)] public fixed byte route_addr_src_storage[128];
    [FieldOffset(160)] public fixed byte route_addr_dst_storage[128];
    [FieldOffset(344)] public uint ps;
    [FieldOffset(348)] public byte port_num;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct rdma_conn_param
{
    public byte* private_data;
    public byte private_data_len;
    public byte responder_resources;
    public byte initiator_depth;
    public byte flow_control;
    public byte retry_count;
    public byte rnr_retry_count;
    public byte srq;
    public uint qp_num;
}

/// <summary>The parameters are a union; its connected arm is named here.</summary>
[StructLayout(LayoutKind.Sequential, Size = 80)]
internal unsafe struct rdma_cm_event
{
    public rdma_cm_id* id;
    public rdma_cm_id* listen_id;
    public uint @event;
    public int status;
    public rdma_conn_param param_conn;
}
