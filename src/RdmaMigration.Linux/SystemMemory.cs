using System.Runtime.InteropServices;

namespace RdmaMigration.Linux;

/// <summary>The host's memory by system call, for a process without /proc.</summary>
public static unsafe partial class SystemMemory
{
    /// <summary>Bytes that nothing uses, and those of buffers (sysinfo). The page cache, which could be freed too, is not in it.</summary>
    public static ulong FreeBytes
    {
        get
        {
            Info info;
            _ = CallResult.Of(sysinfo(&info)).OrThrow("sysinfo");
            return (info.FreeRam + info.BufferRam) * info.Unit;
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sysinfo(Info* info);

    /// <summary>struct sysinfo of a 64-bit kernel.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 112)]
    private struct Info
    {
        [FieldOffset(40)]
        public ulong FreeRam;

        [FieldOffset(56)]
        public ulong BufferRam;

        [FieldOffset(104)]
        public uint Unit;
    }
}
