using System.Runtime.InteropServices;

namespace RdmaMigration.Verbs.Interop;

/// <summary>What libibverbs exports, under its own names.</summary>
internal static unsafe partial class LibIbVerbs
{
    private const string Library = NativeLibraries.Verbs;

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint* ibv_get_device_list(int* num_devices);

    [LibraryImport(Library)]
    internal static partial void ibv_free_device_list(nint* list);

    [LibraryImport(Library)]
    internal static partial byte* ibv_get_device_name(nint device);

    [LibraryImport(Library)]
    internal static partial ulong ibv_get_device_guid(nint device);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint ibv_open_device(nint device);

    [LibraryImport(Library)]
    internal static partial int ibv_close_device(nint context);

    [LibraryImport(Library)]
    internal static partial int ibv_query_device(nint context, ibv_device_attr* device_attr);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int ibv_query_gid(nint context, byte port_num, int index, ibv_gid* gid);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial nint ibv_alloc_pd(nint context);

    [LibraryImport(Library)]
    internal static partial int ibv_dealloc_pd(nint pd);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial ibv_mr* ibv_reg_mr_iova2(nint pd, nint addr, nuint length, ulong iova, uint access);

    [LibraryImport(Library)]
    internal static partial int ibv_dereg_mr(nint mr);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial ibv_comp_channel* ibv_create_comp_channel(nint context);

    [LibraryImport(Library)]
    internal static partial int ibv_destroy_comp_channel(nint channel);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial ibv_cq* ibv_create_cq(nint context, int cqe, nint cq_context, nint channel, int comp_vector);

    [LibraryImport(Library)]
    internal static partial int ibv_destroy_cq(nint cq);

    // Called for every message that is waited for: whoever calls it looks at errno itself.
    [LibraryImport(Library)]
    internal static partial int ibv_get_cq_event(nint channel, nint* cq, nint* cq_context);

    [LibraryImport(Library)]
    internal static partial void ibv_ack_cq_events(nint cq, uint nevents);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial int ibv_get_async_event(nint context, ibv_async_event* @event);

    [LibraryImport(Library)]
    internal static partial void ibv_ack_async_event(ibv_async_event* @event);

    [LibraryImport(Library)]
    internal static partial int ibv_modify_qp(nint qp, ibv_qp_attr* attr, int attr_mask);

    [LibraryImport(Library)]
    internal static partial int ibv_query_qp(nint qp, ibv_qp_attr* attr, int attr_mask, ibv_qp_init_attr* init_attr);

    [LibraryImport(Library)]
    internal static partial byte* ibv_wc_status_str(uint status);
}
