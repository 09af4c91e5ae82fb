namespace RdmaMigration.Verbs.Tests;

/// <summary>Which C constant each member of a public enumeration stands for; empty for the zero of flags, which C does not name.</summary>
internal static class EnumConstants
{
    private static readonly Dictionary<Type, string> s_names = new()
    {
        [typeof(CmEventType)] = """
            AddressResolved RDMA_CM_EVENT_ADDR_RESOLVED
            AddressError RDMA_CM_EVENT_ADDR_ERROR
            RouteResolved RDMA_CM_EVENT_ROUTE_RESOLVED
            RouteError RDMA_CM_EVENT_ROUTE_ERROR
            ConnectRequest RDMA_CM_EVENT_CONNECT_REQUEST
            ConnectResponse RDMA_CM_EVENT_CONNECT_RESPONSE
            ConnectError RDMA_CM_EVENT_CONNECT_ERROR
            Unreachable RDMA_CM_EVENT_UNREACHABLE
            Rejected RDMA_CM_EVENT_REJECTED
            Established RDMA_CM_EVENT_ESTABLISHED
            Disconnected RDMA_CM_EVENT_DISCONNECTED
            DeviceRemoval RDMA_CM_EVENT_DEVICE_REMOVAL
            MulticastJoin RDMA_CM_EVENT_MULTICAST_JOIN
            MulticastError RDMA_CM_EVENT_MULTICAST_ERROR
            AddressChange RDMA_CM_EVENT_ADDR_CHANGE
            TimewaitExit RDMA_CM_EVENT_TIMEWAIT_EXIT
            """,
        [typeof(AsyncEventType)] = """
            CompletionQueueError IBV_EVENT_CQ_ERR
            QueuePairFatal IBV_EVENT_QP_FATAL
            QueuePairRequestError IBV_EVENT_QP_REQ_ERR
            QueuePairAccessError IBV_EVENT_QP_ACCESS_ERR
            CommunicationEstablished IBV_EVENT_COMM_EST
            SendQueueDrained IBV_EVENT_SQ_DRAINED
            PathMigrated IBV_EVENT_PATH_MIG
            PathMigrationError IBV_EVENT_PATH_MIG_ERR
            DeviceFatal IBV_EVENT_DEVICE_FATAL
            PortActive IBV_EVENT_PORT_ACTIVE
            PortError IBV_EVENT_PORT_ERR
            LidChange IBV_EVENT_LID_CHANGE
            PartitionKeyChange IBV_EVENT_PKEY_CHANGE
            SubnetManagerChange IBV_EVENT_SM_CHANGE
            SharedReceiveQueueError IBV_EVENT_SRQ_ERR
            SharedReceiveQueueLimitReached IBV_EVENT_SRQ_LIMIT_REACHED
            LastWorkRequestReached IBV_EVENT_QP_LAST_WQE_REACHED
            ClientReregister IBV_EVENT_CLIENT_REREGISTER
            GidChange IBV_EVENT_GID_CHANGE
            WorkQueueFatal IBV_EVENT_WQ_FATAL
            """,
        [typeof(WorkCompletionStatus)] = """
            Success IBV_WC_SUCCESS
            LocalLengthError IBV_WC_LOC_LEN_ERR
            LocalQueuePairOperationError IBV_WC_LOC_QP_OP_ERR
            LocalEndToEndContextOperationError IBV_WC_LOC_EEC_OP_ERR
            LocalProtectionError IBV_WC_LOC_PROT_ERR
            WorkRequestFlushed IBV_WC_WR_FLUSH_ERR
            MemoryWindowBindError IBV_WC_MW_BIND_ERR
            BadResponse IBV_WC_BAD_RESP_ERR
            LocalAccessError IBV_WC_LOC_ACCESS_ERR
            RemoteInvalidRequest IBV_WC_REM_INV_REQ_ERR
            RemoteAccessError IBV_WC_REM_ACCESS_ERR
            RemoteOperationError IBV_WC_REM_OP_ERR
            TransportRetryExceeded IBV_WC_RETRY_EXC_ERR
            ReceiverNotReadyRetryExceeded IBV_WC_RNR_RETRY_EXC_ERR
            LocalReliableDatagramDomainViolation IBV_WC_LOC_RDD_VIOL_ERR
            RemoteInvalidReadRequest IBV_WC_REM_INV_RD_REQ_ERR
            RemoteAborted IBV_WC_REM_ABORT_ERR
            InvalidEndToEndContextNumber IBV_WC_INV_EECN_ERR
            InvalidEndToEndContextState IBV_WC_INV_EEC_STATE_ERR
            Fatal IBV_WC_FATAL_ERR
            ResponseTimeout IBV_WC_RESP_TIMEOUT_ERR
            GeneralError IBV_WC_GENERAL_ERR
            TagMatchingError IBV_WC_TM_ERR
            TagMatchingRendezvousIncomplete IBV_WC_TM_RNDV_INCOMPLETE
            """,
        [typeof(WorkCompletionOpcode)] = """
            Send IBV_WC_SEND
            RdmaWrite IBV_WC_RDMA_WRITE
            RdmaRead IBV_WC_RDMA_READ
            Receive IBV_WC_RECV
            ReceiveRdmaWithImmediate IBV_WC_RECV_RDMA_WITH_IMM
            """,
        [typeof(SendOptions)] = """
            None
            Fence IBV_SEND_FENCE
            Signaled IBV_SEND_SIGNALED
            Solicited IBV_SEND_SOLICITED
            Inline IBV_SEND_INLINE
            """,
        [typeof(MemoryAccess)] = """
            None
            LocalWrite IBV_ACCESS_LOCAL_WRITE
            RemoteWrite IBV_ACCESS_REMOTE_WRITE
            RemoteRead IBV_ACCESS_REMOTE_READ
            RemoteAtomic IBV_ACCESS_REMOTE_ATOMIC
            OnDemand IBV_ACCESS_ON_DEMAND
            HugePages IBV_ACCESS_HUGETLB
            RelaxedOrdering IBV_ACCESS_RELAXED_ORDERING
            """,
        [typeof(PortSpace)] = """
            Tcp RDMA_PS_TCP
            InfiniBand RDMA_PS_IB
            """,
        [typeof(PortState)] = """
            Nop IBV_PORT_NOP
            Down IBV_PORT_DOWN
            Initializing IBV_PORT_INIT
            Armed IBV_PORT_ARMED
            Active IBV_PORT_ACTIVE
            ActiveDeferred IBV_PORT_ACTIVE_DEFER
            """,
        [typeof(LinkLayer)] = """
            Unspecified IBV_LINK_LAYER_UNSPECIFIED
            InfiniBand IBV_LINK_LAYER_INFINIBAND
            Ethernet IBV_LINK_LAYER_ETHERNET
            """,
        [typeof(GidType)] = """
            InfiniBand IBV_GID_TYPE_IB
            RoCEv1 IBV_GID_TYPE_ROCE_V1
            RoCEv2 IBV_GID_TYPE_ROCE_V2
            """,
        [typeof(QueuePairState)] = """
            Reset IBV_QPS_RESET
            Initialized IBV_QPS_INIT
            ReadyToReceive IBV_QPS_RTR
            ReadyToSend IBV_QPS_RTS
            SendQueueDrained IBV_QPS_SQD
            SendQueueError IBV_QPS_SQE
            Error IBV_QPS_ERR
            Unknown IBV_QPS_UNKNOWN
            """,
        [typeof(QueuePairAttributeMask)] = """
            State IBV_QP_STATE
            Timeout IBV_QP_TIMEOUT
            RetryCount IBV_QP_RETRY_CNT
            RnrRetryCount IBV_QP_RNR_RETRY
            MinRnrTimer IBV_QP_MIN_RNR_TIMER
            """,
    };

    internal static Dictionary<string, string> Of(Type type) => s_names[type].Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line.Trim().Split(' '))
        .ToDictionary(words => words[0], words => words.Length > 1 ? words[1] : "");
}
