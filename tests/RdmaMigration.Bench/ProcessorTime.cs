using System.ComponentModel;
using System.Runtime.InteropServices;

namespace RdmaMigration.Bench;

/// <summary>
/// CPU time that a process used with all its threads, in seconds, as the kernel has accounted it: what /proc and getrusage tell is scaled afterwards, which
/// mixes the time of soft-RoCE's softirqs into it. It is a count of the kernel's clock ticks, 4 ms each, or exact on a processor that runs with
/// <c>nohz_full</c>.
/// </summary>
internal readonly partial record struct ProcessorTime(double User, double System)
{
    private const int NoSuchProcess = 22; // EINVAL

    public double Total => User + System;

    /// <summary>What the process <paramref name="pid"/> has used so far.</summary>
    /// <exception cref="InvalidOperationException">It has ended.</exception>
    public static ProcessorTime OfProcess(int pid) => OfProcessOrNone(pid) ?? throw new InvalidOperationException($"process {pid} has ended");

    /// <summary>The same; null when it has ended.</summary>
    public static ProcessorTime? OfProcessOrNone(int pid) =>
        Read(pid, Account.User) is { } user && Read(pid, Account.UserAndSystem) is { } both ? new ProcessorTime(user, Math.Max(both - user, 0)) : null;

    public static ProcessorTime operator -(ProcessorTime left, ProcessorTime right) => new(left.User - right.User, left.System - right.System);

    private static double? Read(int pid, Account account)
    {
        // The id of another process's clock: its pid inverted, and behind it which of its clocks (clock_getcpuclockid(3), the kernel's posix-timers.h).
        int clock = (~pid << 3) | (int)account;
        if (GetTime(clock, out Time time) == 0)
        {
            return time.Seconds + (time.Nanoseconds / 1e9);
        }

        int errno = Marshal.GetLastPInvokeError();
        return errno == NoSuchProcess ? null : throw new Win32Exception(errno);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int GetTime(int clock, out Time time);

    private enum Account
    {
        UserAndSystem = 0,
        User = 1,
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Time
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
