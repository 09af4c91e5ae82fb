using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Verbs;

/// <summary>The kernel's form of an IP address and port: <c>sockaddr_in</c> and <c>sockaddr_in6</c>.</summary>
internal static class SocketAddresses
{
    /// <summary>Size of <c>sockaddr_in6</c>, the larger one.</summary>
    internal const int MaxLength = 28;

    private const ushort AF_INET = 2;
    private const ushort AF_INET6 = 10;

    internal static void Write(IPEndPoint endPoint, Span<byte> destination)
    {
        destination[..MaxLength].Clear();
        bool isV6 = endPoint.AddressFamily == AddressFamily.InterNetworkV6;
        BitConverter.TryWriteBytes(destination, isV6 ? AF_INET6 : AF_INET);
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], (ushort)endPoint.Port);
        endPoint.Address.TryWriteBytes(destination[(isV6 ? 8 : 4)..], out _);
        if (isV6)
        {
            BitConverter.TryWriteBytes(destination[24..], (uint)endPoint.Address.ScopeId);
        }
    }

    /// <summary>Null for an address that is not set, or not IP.</summary>
    internal static IPEndPoint? Read(ReadOnlySpan<byte> source)
    {
        int port = BinaryPrimitives.ReadUInt16BigEndian(source[2..]);
        return BitConverter.ToUInt16(source) switch
        {
            AF_INET => new IPEndPoint(new IPAddress(source.Slice(4, 4)), port),
            AF_INET6 => new IPEndPoint(new IPAddress(source.Slice(8, 16), BitConverter.ToUInt32(source[24..])), port),
            _ => null,
        };
    }
}
