using System.Runtime.InteropServices;

namespace RdmaMigration.Transport;

internal static class ErrorText
{
    /// <summary>An errno in words.</summary>
    public static string Of(int errno) => Marshal.GetPInvokeErrorMessage(errno);
}
