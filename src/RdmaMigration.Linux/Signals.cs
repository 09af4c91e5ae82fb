using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>Signals beyond what <see cref="PosixSignalRegistration"/> covers.</summary>
public static unsafe partial class Signals
{
    /// <summary>SIGXFSZ: a write would exceed the limit of a file's size. Its default action ends the process.</summary>
    public const PosixSignal FileSizeExceeded = (PosixSignal)25;

    private const int SIGHUP = 1;
    private const nint SIG_IGN = 1;

    /// <summary>True when whoever started this process has SIGHUP ignored, as nohup does: it must not end the process then.</summary>
    public static bool IsHangUpIgnored
    {
        get
        {
            // struct sigaction has the handler first, and is below 256 bytes.
            nint* action = stackalloc nint[32];
            _ = CallResult.Of(sigaction(SIGHUP, null, action)).OrThrow("sigaction");
            return action[0] == SIG_IGN;
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sigaction(int signal, nint* action, nint* old);
}
