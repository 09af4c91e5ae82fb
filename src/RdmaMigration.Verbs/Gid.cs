using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>A port's address on the wire: 128 bits, on RoCE an IPv6 address or an IPv4 one mapped into it.</summary>
public readonly record struct Gid
{
    private readonly ibv_gid _value;

    internal Gid(ibv_gid value) => _value = value;

    /// <summary>The upper half, in host byte order.</summary>
    public ulong SubnetPrefix => BinaryPrimitives.ReverseEndianness(_value.global_subnet_prefix);

    /// <summary>The lower half, in host byte order.</summary>
    public ulong InterfaceId => BinaryPrimitives.ReverseEndianness(_value.global_interface_id);

    /// <summary>Whether the table entry is unused.</summary>
    public bool IsZero => _value.global_subnet_prefix == 0 && _value.global_interface_id == 0;

    /// <summary>The address; an IPv4-mapped one as IPv4.</summary>
    public IPAddress ToIPAddress()
    {
        ibv_gid value = _value;
        IPAddress address = new(MemoryMarshal.AsBytes(new ReadOnlySpan<ibv_gid>(ref value)));
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }

    /// <summary>The GID as four-digit groups, the way sysfs prints it.</summary>
    public override string ToString()
    {
        string digits = $"{SubnetPrefix:x16}{InterfaceId:x16}";
        return string.Join(':', Enumerable.Range(0, 8).Select(group => digits.Substring(group * 4, 4)));
    }
}

/// <summary>How a GID travels.</summary>
public enum GidType
{
    /// <summary>InfiniBand.</summary>
    InfiniBand = 0,

    /// <summary>RoCE v1: an Ethernet protocol of its own, not routable.</summary>
    RoCEv1 = 1,

    /// <summary>RoCE v2: UDP port 4791.</summary>
    RoCEv2 = 2,
}

/// <summary>A used entry of a port's GID table.</summary>
/// <param name="Index">Index in the table.</param>
/// <param name="Gid">The address.</param>
/// <param name="Type">How it travels.</param>
/// <param name="NetworkDevice">The network interface it belongs to; null on InfiniBand.</param>
public readonly record struct GidEntry(int Index, Gid Gid, GidType Type, string? NetworkDevice);
