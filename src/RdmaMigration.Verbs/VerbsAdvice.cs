using RdmaMigration.Linux;

namespace RdmaMigration.Verbs;

/// <summary>What a person can do about an error of a given call.</summary>
internal static class VerbsAdvice
{
    internal static string? For(string call, Errno errno) => (call, errno) switch
    {
        ("rdma_create_event_channel", Errno.ENOENT or Errno.ENODEV) => File.Exists("/sys/class/misc/rdma_cm/dev")
            ? "The device file /dev/infiniband/rdma_cm is missing: start the container with --device=/dev/infiniband/rdma_cm, or run udevadm trigger."
            : "The kernel module rdma_ucm is not loaded: modprobe rdma_ucm.",
        ("rdma_create_event_channel" or "ibv_open_device", Errno.EACCES or Errno.EPERM) =>
            "The device files under /dev/infiniband must be readable and writable by this user.",
        ("rdma_bind_addr" or "rdma_listen", Errno.EADDRINUSE) =>
            "Another program listens on this port: choose another one or stop that program.",
        ("rdma_bind_addr", Errno.EADDRNOTAVAIL or Errno.ENODEV) =>
            "No RDMA device has this address: check `rdma link` and `ip address`; for soft-RoCE, rdma link add rxe0 type rxe netdev DEVICE.",
        ("rdma_resolve_addr" or "RDMA_CM_EVENT_ADDR_ERROR", Errno.ENODEV or Errno.EADDRNOTAVAIL) =>
            "The route to this address does not leave through an RDMA device: check `ip route get ADDRESS` and `rdma link`.",
        ("rdma_resolve_addr" or "RDMA_CM_EVENT_ADDR_ERROR", Errno.ENETUNREACH or Errno.EHOSTUNREACH) =>
            "There is no route to this address: check `ip route get ADDRESS`.",
        ("rdma_resolve_addr" or "RDMA_CM_EVENT_ADDR_ERROR", Errno.ETIMEDOUT) =>
            "Nobody answers for this address (ARP or neighbour discovery): check that the host is up and on the same network.",
        ("rdma_resolve_route" or "RDMA_CM_EVENT_ROUTE_ERROR", _) =>
            "No path to the peer was found: on RoCE check the GID table (`show_gids` or /sys/class/infiniband/*/ports/*/gids), on InfiniBand the subnet "
                + "manager.",
        ("RDMA_CM_EVENT_UNREACHABLE", _) => "The peer does not answer: check that it listens and that UDP port 4791 (RoCEv2) passes the firewall.",
        ("RDMA_CM_EVENT_REJECTED", _) => "The peer refused: nobody listens on that port, or the program there declined the request.",
        ("RDMA_CM_EVENT_CONNECT_ERROR", _) => "The connection could not be established; the peer may have exited.",
        ("ibv_reg_mr", Errno.EFAULT) => "Part of the range is not mapped, or its mapping does not allow the requested access.",
        ("ibv_reg_mr", Errno.EOPNOTSUPP) => "The device cannot do this kind of access, for example on-demand paging.",
        ("ibv_reg_mr", Errno.EINVAL) => "The device does not support this length or these access flags; remote write and atomic access need local write.",
        ("rdma_create_qp", Errno.EINVAL) => "More work requests, segments or inline bytes were asked for than the device has; see DeviceAttributes.",
        ("rdma_create_qp" or "ibv_create_cq", Errno.ENOMEM) => "The device is out of these objects, or of memory that may be locked: check `ulimit -l`.",
        ("rdma_connect" or "rdma_accept", Errno.EINVAL) =>
            "The id is not in a state for this, or the responder resources or initiator depth exceed what the device has.",
        ("ibv_post_send" or "ibv_post_recv", Errno.EINVAL) =>
            "The queue pair is not in a state for this, or the request does not fit it (segments, inline bytes).",
        (_, Errno.EMFILE or Errno.ENFILE) => "No file descriptor is left: raise LimitNOFILE or `ulimit -n`.",
        (_, Errno.ENODEV or Errno.EIO) => "The device was removed or has failed: check dmesg.",
        (_, Errno.ENOSYS or Errno.EOPNOTSUPP or Errno.EPROTONOSUPPORT) => "The device or its provider does not have this verb.",
        _ => null,
    };
}
