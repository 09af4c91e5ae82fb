using System.Net;

namespace RdmaMigration.Testing;

/// <summary>Where the RDMA device of the machine under test is reached: the soft-RoCE guest's addresses unless the environment says otherwise.</summary>
public static class RdmaAddress
{
    /// <summary>An IPv4 address on the device; RDMAMIG_TEST_ADDRESS.</summary>
    public static IPAddress V4 => IPAddress.Parse(Environment.GetEnvironmentVariable("RDMAMIG_TEST_ADDRESS") ?? "10.77.0.1");

    /// <summary>An IPv6 address on the device; RDMAMIG_TEST_ADDRESS6.</summary>
    public static IPAddress V6 => IPAddress.Parse(Environment.GetEnvironmentVariable("RDMAMIG_TEST_ADDRESS6") ?? "fd77::1");
}
