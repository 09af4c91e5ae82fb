using System.Runtime.InteropServices;

using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>The verbs library's own words for a <see cref="WorkCompletionStatus"/>.</summary>
public static unsafe class WorkCompletionStatusNames
{
    /// <summary>What <c>ibv_wc_status_str</c> says, which is what other programs print; the member's name where the library is missing.</summary>
    public static string Describe(this WorkCompletionStatus status) =>
        NativeLibraries.MissingReason is null
            ? Marshal.PtrToStringUTF8((nint)LibIbVerbs.ibv_wc_status_str((uint)status)) ?? status.ToString()
            : status.ToString();
}
