using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>Whether this process can use RDMA. That it cannot is a normal state of a host, not an error.</summary>
/// <remarks>Thread-safe. The libraries are looked up once per process, devices at each call since they come and go.</remarks>
public static class RdmaSupport
{
    /// <summary>Whether the libraries are there and at least one device is.</summary>
    public static bool IsSupported => UnsupportedReason is null;

    /// <summary>Why RDMA cannot be used, with what to install or do; null when it can.</summary>
    public static string? UnsupportedReason => NativeLibraries.MissingReason ?? (RdmaDevice.Count() > 0 ? null : NoDevice());

    /// <summary>Why the libraries cannot be used, devices left aside; null when they can.</summary>
    public static string? MissingLibraryReason => NativeLibraries.MissingReason;

    internal static void ThrowIfUnsupported()
    {
        if (UnsupportedReason is { } reason)
        {
            throw new PlatformNotSupportedException(reason);
        }
    }

    private static string NoDevice()
    {
        const string InfinibandClass = "/sys/class/infiniband";
        string[] known = Directory.Exists(InfinibandClass) ? Directory.GetDirectories(InfinibandClass) : [];
        if (known.Length == 0)
        {
            return "This host has no RDMA device. Load the driver of the NIC; for soft-RoCE: modprobe rdma_rxe && rdma link add rxe0 type rxe netdev DEVICE.";
        }

        string names = string.Join(", ", known.Select(Path.GetFileName));
        if (!Directory.Exists("/dev/infiniband"))
        {
            return $"The kernel has RDMA devices ({names}), but programs cannot reach them: modprobe ib_uverbs rdma_ucm.";
        }

        return $"The kernel has RDMA devices ({names}), but libibverbs has no driver for them (Debian: apt-get install ibverbs-providers), "
            + "or /dev/infiniband/uverbs* may not be opened.";
    }
}
