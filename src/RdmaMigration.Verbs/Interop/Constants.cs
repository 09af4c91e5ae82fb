namespace RdmaMigration.Verbs.Interop;

/// <summary>Constants of the C headers that no public enumeration carries, under their own names.</summary>
internal static class Constants
{
    internal const uint IBV_QPT_RC = 2;

    internal const uint IBV_WR_RDMA_WRITE = 0;
    internal const uint IBV_WR_RDMA_WRITE_WITH_IMM = 1;
    internal const uint IBV_WR_SEND = 2;
    internal const uint IBV_WR_SEND_WITH_IMM = 3;
    internal const uint IBV_WR_RDMA_READ = 4;

    internal const uint IBV_WC_WITH_IMM = 2;

    internal const uint IBV_ADVISE_MR_ADVICE_PREFETCH = 0;
    internal const uint IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE = 1;
    internal const uint IBV_ADVISE_MR_FLAG_FLUSH = 1;

    internal const ulong IBV_ODP_SUPPORT = 1;
    internal const ulong IBV_ODP_SUPPORT_IMPLICIT = 2;
    internal const uint IBV_ODP_SUPPORT_SEND = 1;
    internal const uint IBV_ODP_SUPPORT_RECV = 2;
    internal const uint IBV_ODP_SUPPORT_WRITE = 4;
    internal const uint IBV_ODP_SUPPORT_READ = 8;

    internal const int RDMA_OPTION_ID = 0;
    internal const int RDMA_OPTION_ID_TOS = 0;
    internal const int RDMA_OPTION_ID_REUSEADDR = 1;
    internal const int RDMA_OPTION_ID_AFONLY = 2;
    internal const int RDMA_OPTION_ID_ACK_TIMEOUT = 3;
}
