using System.Runtime.InteropServices;

namespace RdmaMigration.Verbs.Interop;

/// <summary>What librdmacm exports, under its own names. A failed call returns -1 (or null) and sets errno.</summary>
internal static unsafe partial class LibRdmaCm
{
    private const string Library = NativeLibraries.ConnectionManager;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial rdma_event_channel* rdma_create_event_channel();

    [LibraryImport(Library)]
    internal static partial void rdma_destroy_event_channel(nint channel);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_create_id(nint channel, nint* id, nint context, int ps);

    [LibraryImport(Library)]
    internal static partial int rdma_destroy_id(nint id);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_set_option(nint id, int level, int optname, void* optval, nuint optlen);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_bind_addr(nint id, byte* addr);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_listen(nint id, int backlog);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_resolve_addr(nint id, byte* src_addr, byte* dst_addr, int timeout_ms);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_resolve_route(nint id, int timeout_ms);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_create_qp(nint id, nint pd, ibv_qp_init_attr* qp_init_attr);

    [LibraryImport(Library)]
    internal static partial void rdma_destroy_qp(nint id);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_connect(nint id, rdma_conn_param* conn_param);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_accept(nint id, rdma_conn_param* conn_param);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_reject(nint id, byte* private_data, byte private_data_len);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_disconnect(nint id);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_migrate_id(nint id, nint channel);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int rdma_get_cm_event(nint channel, rdma_cm_event** cm_event);

    [LibraryImport(Library)]
    internal static partial int rdma_ack_cm_event(nint cm_event);
}
