using System.Globalization;
using System.Runtime.InteropServices;

namespace RdmaMigration.Bench;

/// <summary>CPU time that a process used, in seconds. The kernel's figures: 10 ms resolution for one that runs, 1 µs for one that has ended.</summary>
internal readonly partial record struct ProcessorTime(double User, double System)
{
    // USER_HZ, which is 100 on every architecture that .NET runs on.
    private const double TicksPerSecond = 100;
    private const int EndedChildren = -1;

    public double Total => User + System;

    /// <summary>What the running process <paramref name="pid"/> has used so far, with all its threads.</summary>
    public static ProcessorTime OfProcess(int pid)
    {
        string stat = File.ReadAllText($"/proc/{pid}/stat");
        // The name before the last parenthesis may hold spaces; behind it, utime and stime are fields 14 and 15 of proc(5).
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return new ProcessorTime(Ticks(fields[11]), Ticks(fields[12]));
    }

    /// <summary>The same; nothing for a process that has just ended, so that all it used counts elsewhere.</summary>
    public static ProcessorTime OfProcessOrNone(int pid)
    {
        try
        {
            return OfProcess(pid);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return default;
        }
    }

    /// <summary>What all children of this program that have ended have used.</summary>
    public static ProcessorTime OfEndedChildren() => GetUsage(EndedChildren, out Usage usage) == 0
        ? new ProcessorTime(usage.UserSeconds + (usage.UserMicroseconds / 1e6), usage.SystemSeconds + (usage.SystemMicroseconds / 1e6))
        : throw new InvalidOperationException($"getrusage: errno {Marshal.GetLastPInvokeError()}");

    public static ProcessorTime operator -(ProcessorTime left, ProcessorTime right) => new(left.User - right.User, left.System - right.System);

    private static double Ticks(string field) => ulong.Parse(field, CultureInfo.InvariantCulture) / TicksPerSecond;

    [LibraryImport("libc", EntryPoint = "getrusage", SetLastError = true)]
    private static partial int GetUsage(int who, out Usage usage);

    // struct rusage: two struct timeval and fourteen longs.
    [StructLayout(LayoutKind.Sequential, Size = 144)]
    private struct Usage
    {
        public long UserSeconds;
        public long UserMicroseconds;
        public long SystemSeconds;
        public long SystemMicroseconds;
    }
}
