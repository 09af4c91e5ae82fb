using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// The id that listens at an address, and listens there again after its device was removed. One thread at a time uses it; <see cref="EndPoint"/> any.
/// </summary>
internal sealed class RdmaBinding : IDisposable
{
    private readonly EventChannel _events;
    private readonly int _backlog;
    private readonly bool _isIPv6Only;
    private CmId? _id;

    private RdmaBinding(EventChannel events, CmId id, int backlog, bool isIPv6Only)
    {
        _events = events;
        _id = id;
        _backlog = backlog;
        _isIPv6Only = isIPv6Only;
        EndPoint = id.LocalEndPoint ?? new IPEndPoint(IPAddress.Any, 0);
    }

    /// <summary>Where it listens; the port is the one that was chosen when 0 was asked.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Listens at the first of the URI's addresses that can be bound.</summary>
    /// <exception cref="ConnectFailedException">No address can be bound: in use, not on an RDMA device, or unknown.</exception>
    public static RdmaBinding Listen(EventChannel events, RdmaUri uri, int backlog)
    {
        VerbsException? first = null;
        foreach (IPEndPoint address in uri.ResolveToListen())
        {
            try
            {
                bool isIPv6Only = !uri.IsDual(address.Address);
                return new RdmaBinding(events, Listen(events, address, isIPv6Only, backlog), backlog, isIPv6Only);
            }
            catch (VerbsException failed)
            {
                first ??= failed;
            }
        }

        throw new ConnectFailedException($"cannot listen on {uri}: {first?.Message ?? "the host has no address"}", first);
    }

    /// <summary>Frees the id, so that the kernel can finish removing the device. May block.</summary>
    public void Close()
    {
        BlockingCalls.AssertAllowed();
        _id?.Dispose();
        _id = null;
    }

    /// <summary>Listens again, after <see cref="Close"/>.</summary>
    /// <exception cref="VerbsException">The device is not back, or its network interface has no address.</exception>
    public void Reopen() => _id = Listen(_events, EndPoint, _isIPv6Only, _backlog);

    /// <inheritdoc/>
    public void Dispose() => _id?.Dispose();

    private static CmId Listen(EventChannel events, IPEndPoint address, bool isIPv6Only, int backlog)
    {
        CmId id = CmId.Create(events);
        try
        {
            id.SetReuseAddress(true);
            if (address.AddressFamily is AddressFamily.InterNetworkV6)
            {
                id.SetIPv6Only(isIPv6Only);
            }

            id.Bind(address);
            id.Listen(backlog);
            return id;
        }
        catch
        {
            id.Dispose();
            throw;
        }
    }
}
