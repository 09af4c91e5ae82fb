using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>ioctl(2), which Tmds.LibC does not have.</summary>
internal static unsafe partial class KernelCalls
{
    /// <summary>One request with an argument. A call that a signal interrupts, or that the kernel wants repeated, is made again.</summary>
    public static CallResult Control(int descriptor, ulong request, void* argument)
    {
        while (true)
        {
            CallResult result = CallResult.Of(ioctl(descriptor, request, argument));
            if (result.Error is not Errno.EINTR)
            {
                return result;
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int ioctl(int descriptor, ulong request, void* argument);
}
