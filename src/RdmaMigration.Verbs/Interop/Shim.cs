using System.Runtime.InteropServices;

namespace RdmaMigration.Verbs.Interop;

/// <summary>
/// The verbs that the C headers define inline, exported by native/. The GC transition is suppressed only where no provider
/// waits: polling and posting a receive are a few loads and stores on queues that are mapped into the process.
/// </summary>
internal static unsafe partial class Shim
{
    private const string Library = NativeLibraries.Shim;

    [LibraryImport(Library)]
    internal static partial int rdmamig_post_send(nint qp, ibv_send_wr* wr, ibv_send_wr** bad_wr);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    internal static partial int rdmamig_post_recv(nint qp, ibv_recv_wr* wr, ibv_recv_wr** bad_wr);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    internal static partial int rdmamig_poll_cq(nint cq, int num_entries, WorkCompletion* wc);

    [LibraryImport(Library)]
    internal static partial int rdmamig_req_notify_cq(nint cq, int solicited_only);

    [LibraryImport(Library)]
    internal static partial int rdmamig_query_port(nint context, byte port_num, ibv_port_attr* attr);

    [LibraryImport(Library)]
    internal static partial int rdmamig_query_odp_caps(nint context, ibv_odp_caps* caps);

    [LibraryImport(Library)]
    internal static partial int rdmamig_advise_mr(nint pd, uint advice, uint flags, ibv_sge* sg_list, uint num_sge);

    [LibraryImport(Library)]
    internal static partial void rdmamig_detach(nint context);

    [LibraryImport(Library)]
    internal static partial rdmamig_abi_fact* rdmamig_abi_facts();
}
