using System.Net;
using System.Text;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>A source's request for a connection, neither accepted nor rejected yet.</summary>
/// <param name="Id">The id of the request. Its event has been acknowledged.</param>
/// <param name="PrivateData">What the source sent along.</param>
internal sealed record ConnectionRequest(CmId Id, byte[] PrivateData)
{
    /// <summary>The connection manager carries at most 148 bytes with a rejection.</summary>
    private const int LongestReason = 148;

    /// <summary>The source's address and port, for messages.</summary>
    public string Peer { get; } = Id.RemoteEndPoint?.ToString() ?? "unknown peer";

    /// <summary>The source's address and port. Null where the connection manager gives none.</summary>
    public IPEndPoint? PeerEndPoint { get; } = Id.RemoteEndPoint;

    public IPAddress? PeerAddress => PeerEndPoint?.Address;

    /// <summary>Null where the private data is too short for it.</summary>
    public RdmaCapabilities? Capabilities { get; } = PrivateData.Length < RdmaCapabilities.Size ? null : RdmaCapabilities.Read(PrivateData);

    /// <summary>What a source of ours says the connection is for; null from a QEMU.</summary>
    public ConnectionPurpose? Purpose { get; } = ConnectionPurpose.Read(PrivateData);

    /// <summary>
    /// Why the source is not let in, whatever else is going on: its address or port, or the protocol that it speaks. Null if nothing is wrong.
    /// </summary>
    /// <param name="allowed">Who may connect; empty for everyone.</param>
    public string? WhyRefused(IReadOnlyCollection<AllowedPeers> allowed) => AllowedPeers.WhyRefused(PeerEndPoint, allowed) ?? Capabilities switch
    {
        null => $"private data of {PrivateData.Length} bytes; expected at least {RdmaCapabilities.Size}",
        { Version: RdmaCapabilities.CurrentVersion } => null,
        { Version: uint version } => $"control protocol version {version}; expected {RdmaCapabilities.CurrentVersion}",
    };

    /// <summary>Tells the source why it is not let in, and frees the id.</summary>
    /// <exception cref="VerbsException">The source is gone already. The id is freed.</exception>
    public void Reject(string reason)
    {
        byte[] text = Encoding.ASCII.GetBytes(reason);
        using (Id)
        {
            Id.Reject(text.AsSpan(0, Math.Min(text.Length, LongestReason)));
        }
    }
}
