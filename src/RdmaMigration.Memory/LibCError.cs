using System.Runtime.InteropServices;

namespace RdmaMigration.Memory;

internal static class LibCError
{
    /// <summary>The last libc error of this thread in words, with its number.</summary>
    public static string Describe(int errno) => $"{Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})";
}
