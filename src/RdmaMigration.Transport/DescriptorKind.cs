using System.Text;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>What a descriptor is, as far as a channel behaves differently.</summary>
internal enum DescriptorKind
{
    /// <summary>A stream socket: both directions.</summary>
    Socket,

    /// <summary>A pipe, or a device that is none of blocks: one direction.</summary>
    Pipe,

    /// <summary>A regular file or a block device.</summary>
    File,
}

internal static unsafe class DescriptorKinds
{
    public static bool IsRegularFile(int descriptor) => FormatOf(descriptor) is { } format && format == (uint)S_IFREG;

    public static bool IsSocket(string path)
    {
        stat status;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return lstat(name, &status) == 0 && (status.st_mode & S_IFMT) == S_IFSOCK;
        }
    }

    /// <summary>The type bits of st_mode; null when there is no such descriptor.</summary>
    public static uint? FormatOf(int descriptor)
    {
        stat status;
        return fstat(descriptor, &status) == 0 ? (uint)(status.st_mode & S_IFMT) : null;
    }
}
