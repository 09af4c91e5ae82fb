using System.Runtime.InteropServices;
using Tmds.Linux;

namespace RdmaMigration.Transport;

/// <summary>A write from several places at once.</summary>
public static unsafe partial class GatheredWrite
{
    /// <summary>IOV_MAX: the most segments of one call.</summary>
    public const int MostSegments = 1024;

    /// <summary>The system call, as the kernel has it; <see cref="LibC"/> has none. Any thread.</summary>
    /// <param name="descriptor">An open descriptor.</param>
    /// <param name="segments">The first of the segments.</param>
    /// <param name="count">1 to <see cref="MostSegments"/>.</param>
    /// <returns>Bytes written, which may be fewer than asked; -1 on an error, which <see cref="Marshal.GetLastPInvokeError"/> tells.</returns>
    [LibraryImport("libc", SetLastError = true)]
    public static partial nint writev(int descriptor, iovec* segments, int count);
}
