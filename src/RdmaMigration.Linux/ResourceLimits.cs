using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>The soft resource limits of this process (getrlimit), asked anew at each call; null when there is no limit.</summary>
public static unsafe partial class ResourceLimits
{
    // The same numbers on x86-64 and arm64.
    private const int RLIMIT_FSIZE = 1;
    private const int RLIMIT_MEMLOCK = 8;
    private const ulong RLIM_INFINITY = ulong.MaxValue;

    /// <summary>The most bytes that a file may have which this process writes or extends (ulimit -f). Files in memory count.</summary>
    public static ulong? FileSize => Soft(RLIMIT_FSIZE);

    /// <summary>The most bytes that this process may lock (ulimit -l). Memory registered with an RDMA device counts.</summary>
    public static ulong? LockedMemory => Soft(RLIMIT_MEMLOCK);

    private static ulong? Soft(int resource)
    {
        Limit limit;
        _ = CallResult.Of(getrlimit(resource, &limit)).OrThrow("getrlimit");
        return limit.Soft == RLIM_INFINITY ? null : limit.Soft;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrlimit(int resource, Limit* limit);

    /// <summary>struct rlimit.</summary>
    private struct Limit
    {
        public ulong Soft;
        public ulong Hard;
    }
}
