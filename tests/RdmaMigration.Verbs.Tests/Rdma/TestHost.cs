using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Verbs.Tests.Rdma;

/// <summary>The device that the tests of this folder use, and how long they wait. Without a device they fail.</summary>
internal static class TestHost
{
    /// <summary>Bounds a wait for something that happens within milliseconds on a good day; RDMAMIG_TIME_FACTOR stretches it.</summary>
    internal static TimeSpan Limit { get; } = TimeSpan.FromSeconds(
        30 * double.Parse(Environment.GetEnvironmentVariable("RDMAMIG_TIME_FACTOR") ?? "1", CultureInfo.InvariantCulture));

    internal static RdmaDevice Device
    {
        get
        {
            Assert.Null(RdmaSupport.UnsupportedReason);
            return RdmaDevice.GetDevices()[0];
        }
    }

    /// <summary>A routable address of the device's first port, from its GID table.</summary>
    internal static IPAddress Address(AddressFamily family)
    {
        using DeviceContext context = Device.Open();
        return context.QueryGids(1)
            .Where(entry => entry.Type == GidType.RoCEv2)
            .Select(entry => entry.Gid.ToIPAddress())
            .First(address => address.AddressFamily == family && !address.IsIPv6LinkLocal);
    }

    /// <summary>The next event of a channel, which must be of the given type; the caller disposes it.</summary>
    internal static CmEvent Expect(this EventChannel channel, CmEventType type)
    {
        Assert.True(channel.Wait(Limit), $"no {type} within {Limit}");
        CmEvent cmEvent = channel.GetEvent();
        Assert.Equal(type, cmEvent.Type);
        return cmEvent;
    }
}
