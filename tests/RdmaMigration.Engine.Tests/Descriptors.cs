using System.Text;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Engine.Tests;

/// <summary>Descriptors as a program inherits them. Whoever takes a number over closes it.</summary>
internal static class Descriptors
{
    public static unsafe (int Sending, int Receiving) NewSocketPair()
    {
        int* two = stackalloc int[2];
        Assert.Equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two));
        return (two[0], two[1]);
    }

    public static unsafe (int Sending, int Receiving) NewPipe()
    {
        int* two = stackalloc int[2];
        Assert.Equal(0, pipe2(two, O_CLOEXEC));
        return (two[1], two[0]);
    }

    /// <summary>Opens a file for reading, or creates it for writing.</summary>
    public static unsafe int Open(string path, FileAccess access)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            int descriptor = open(name, O_CLOEXEC | (access is FileAccess.Write ? O_WRONLY | O_CREAT : O_RDONLY), 0b110_000_000);
            Assert.True(descriptor >= 0, path);
            return descriptor;
        }
    }
}
