using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace RdmaMigration.Testing;

/// <summary>The addresses of this host's RDMA device, and a port that no test has used before.</summary>
public static class RdmaAddress
{
    /// <summary>A max-bandwidth that no device reaches, in bytes a second.</summary>
    public const long Unlimited = 100L << 30;

    private static readonly Lazy<IPAddress> s_v4 = new(Find);
    private static int s_port = 4444;

    /// <summary>
    /// RDMAMIG_TEST_ADDRESS, else the IPv4 address of the network interface under the first RDMA device. On a host without RDMA the soft-RoCE
    /// guest's: tests that need no RDMA name an address before they replace it.
    /// </summary>
    public static IPAddress V4 => s_v4.Value;

    /// <summary>An IPv6 address of the device: RDMAMIG_TEST_ADDRESS6, else the soft-RoCE guest's.</summary>
    public static IPAddress V6 => IPAddress.Parse(Environment.GetEnvironmentVariable("RDMAMIG_TEST_ADDRESS6") ?? "fd77::1");

    public static string NextUri() => Uri(NextPort());

    public static int NextPort() => Interlocked.Increment(ref s_port);

    public static string Uri(int port) => $"rdma:{V4}:{port}";

    private static IPAddress Find()
    {
        if (Environment.GetEnvironmentVariable("RDMAMIG_TEST_ADDRESS") is { Length: > 0 } named)
        {
            return IPAddress.Parse(named);
        }

        const string Devices = "/sys/class/infiniband";
        IEnumerable<string> interfaces = !Directory.Exists(Devices) ? [] : Directory.EnumerateDirectories(Devices)
            .Select(device => Path.Combine(device, "ports/1/gid_attrs/ndevs/0"))
            .Where(File.Exists)
            .Select(netdev => File.ReadAllText(netdev).Trim());
        return interfaces
            .SelectMany(name => NetworkInterface.GetAllNetworkInterfaces().Where(i => i.Name == name))
            .SelectMany(i => i.GetIPProperties().UnicastAddresses)
            .Select(a => a.Address)
            .FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork)
            ?? IPAddress.Parse("10.77.0.1");
    }
}
