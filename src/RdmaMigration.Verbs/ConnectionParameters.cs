namespace RdmaMigration.Verbs;

/// <summary>What two sides agree on when they connect.</summary>
/// <param name="ResponderResources">
/// RDMA reads and atomics of the peer that this side answers at a time, up to <see cref="DeviceAttributes.MaxResponderResources"/>;
/// 255 for what the device has.
/// </param>
/// <param name="InitiatorDepth">
/// RDMA reads and atomics that this side has in flight, up to <see cref="DeviceAttributes.MaxInitiatorDepth"/>; 255 for what the device has.
/// </param>
/// <param name="RetryCount">How often either device repeats a request that is not answered, 0 to 7; soft-RoCE takes 7 for "for ever". Ignored when
/// accepting.</param>
/// <param name="RnrRetryCount">How often the <b>peer's</b> device repeats a send that finds no receive posted here, 0 to 6; 7 for ever.</param>
public readonly record struct ConnectionParameters(byte ResponderResources, byte InitiatorDepth, byte RetryCount, byte RnrRetryCount);

/// <summary>What a port number belongs to.</summary>
public enum PortSpace
{
    /// <summary>Reliable connections, addressed by IP address and port.</summary>
    Tcp = 0x0106,

    /// <summary>Any kind of InfiniBand service.</summary>
    InfiniBand = 0x013F,
}
