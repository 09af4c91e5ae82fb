using System.Runtime.InteropServices;
using System.Text;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>How a file is opened: the flags of open(2). A descriptor is close-on-exec unless told otherwise.</summary>
[Flags]
public enum OpenModes
{
    /// <summary>For reading (O_RDONLY).</summary>
    Read = 0,

    /// <summary>For writing (O_WRONLY).</summary>
    Write = 1,

    /// <summary>For both (O_RDWR).</summary>
    ReadWrite = 2,

    /// <summary>Create the file if there is none (O_CREAT), readable and writable by its owner only.</summary>
    Create = 4,

    /// <summary>Neither the open nor reads and writes block (O_NONBLOCK): a FIFO opens before its other side is there, or fails.</summary>
    NonBlocking = 8,

    /// <summary>Programs that this process starts have the descriptor too (no O_CLOEXEC).</summary>
    Inherited = 16,
}

/// <summary>A run of unmanaged or pinned memory, laid out as struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct IoVector
{
    /// <summary>The first byte.</summary>
    public byte* Address;

    /// <summary>Bytes in the run.</summary>
    public nuint Length;
}

/// <summary>Calls on descriptors by number. The caller keeps the descriptor open meanwhile. None throws; each is for any thread.</summary>
public static unsafe partial class Descriptor
{
    /// <summary>The most runs of one <see cref="WriteGathered"/> (IOV_MAX).</summary>
    public const int MostVectors = 1024;

    /// <summary>The numbers below this one are the standard streams'.</summary>
    public const int FirstOwn = 3;

    /// <summary>rw-------: guest memory is its owner's business, as in QEMU.</summary>
    private const ushort OwnerOnly = 0b110_000_000;

    /// <summary>Opens a path. The value is the descriptor.</summary>
    public static CallResult Open(string path, OpenModes modes)
    {
        int flags = ((int)modes & 3)
            | (modes.HasFlag(OpenModes.Inherited) ? 0 : LibC.O_CLOEXEC)
            | (modes.HasFlag(OpenModes.Create) ? LibC.O_CREAT : 0)
            | (modes.HasFlag(OpenModes.NonBlocking) ? LibC.O_NONBLOCK : 0);
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return CallResult.Of(LibC.open(name, flags, OwnerOnly));
        }
    }

    /// <summary>Reads. The value is the bytes read; 0 at the end.</summary>
    public static CallResult Read(int descriptor, Span<byte> buffer)
    {
        fixed (byte* first = buffer)
        {
            return CallResult.Of((nint)LibC.read(descriptor, first, buffer.Length));
        }
    }

    /// <summary>Writes. The value is the bytes written, which may be fewer than asked.</summary>
    public static CallResult Write(int descriptor, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* first = bytes)
        {
            return CallResult.Of((nint)LibC.write(descriptor, first, bytes.Length));
        }
    }

    /// <summary>Writes 1 to <see cref="MostVectors"/> runs of memory by one call. The value is the bytes written, which may be fewer than asked.</summary>
    public static CallResult WriteGathered(int descriptor, ReadOnlySpan<IoVector> vectors)
    {
        fixed (IoVector* first = vectors)
        {
            return CallResult.Of(writev(descriptor, first, vectors.Length));
        }
    }

    /// <summary>Closes the descriptor.</summary>
    public static CallResult Close(int descriptor) => CallResult.Of(LibC.close(descriptor));

    /// <summary>The status flags (F_GETFL), to hand back to <see cref="SetFlags"/>.</summary>
    public static CallResult GetFlags(int descriptor) => CallResult.Of(LibC.fcntl(descriptor, LibC.F_GETFL));

    /// <summary>Sets the status flags (F_SETFL).</summary>
    public static CallResult SetFlags(int descriptor, int flags) => CallResult.Of(LibC.fcntl(descriptor, LibC.F_SETFL, flags));

    /// <summary>Makes reads and writes return EAGAIN instead of blocking. The flag belongs to the open file, and so to every process that shares it.</summary>
    public static CallResult SetNonBlocking(int descriptor)
    {
        CallResult flags = GetFlags(descriptor);
        return flags.Failed ? flags : SetFlags(descriptor, (int)flags.Value | LibC.O_NONBLOCK);
    }

    /// <summary>Closes the descriptor in programs that this process starts.</summary>
    public static CallResult SetCloseOnExec(int descriptor) => CallResult.Of(LibC.fcntl(descriptor, LibC.F_SETFD, LibC.FD_CLOEXEC));

    /// <summary>True if this process has the descriptor.</summary>
    public static bool IsOpen(int descriptor) => LibC.fcntl(descriptor, LibC.F_GETFD) >= 0;

    /// <summary>True if the descriptor was opened for reading.</summary>
    public static bool IsReadable(int descriptor) => Access(descriptor) is OpenModes.Read or OpenModes.ReadWrite;

    /// <summary>True if the descriptor was opened for writing.</summary>
    public static bool IsWritable(int descriptor) => Access(descriptor) is OpenModes.Write or OpenModes.ReadWrite;

    /// <summary>True for a terminal.</summary>
    public static bool IsTerminal(int descriptor) => LibC.isatty(descriptor) == 1;

    /// <summary>Duplicates the descriptor to the lowest free number from <paramref name="least"/> on, close-on-exec. The value is the duplicate.</summary>
    public static CallResult Duplicate(int descriptor, int least = 0) => CallResult.Of(LibC.fcntl(descriptor, LibC.F_DUPFD_CLOEXEC, least));

    /// <summary>Makes <paramref name="target"/> a duplicate of the descriptor, closing what it was (dup2).</summary>
    public static CallResult DuplicateOnto(int descriptor, int target) => CallResult.Of(LibC.dup2(descriptor, target));

    /// <summary>Moves the position of reads and writes. The value is the new position from the start.</summary>
    public static CallResult Seek(int descriptor, long offset, SeekOrigin origin) => CallResult.Of(LibC.lseek(descriptor, offset, (int)origin));

    /// <summary>The next byte at or after the offset that memory or disk backs; ENXIO if there is none.</summary>
    public static CallResult SeekData(int descriptor, long offset) => CallResult.Of(LibC.lseek(descriptor, offset, SEEK_DATA));

    /// <summary>The next hole at or after the offset; the end of the file counts as one. ENXIO if the offset is not before the end.</summary>
    public static CallResult SeekHole(int descriptor, long offset) => CallResult.Of(LibC.lseek(descriptor, offset, SEEK_HOLE));

    /// <summary>Cuts or extends a file.</summary>
    public static CallResult Truncate(int descriptor, long length) => CallResult.Of(LibC.ftruncate(descriptor, length));

    /// <summary>Makes a file's bytes durable (fsync).</summary>
    public static CallResult Sync(int descriptor) => CallResult.Of(LibC.fsync(descriptor));

    /// <summary>Closes a connected socket's direction to the other side, which then sees the end (shutdown with SHUT_WR).</summary>
    public static CallResult ShutDownWriting(int descriptor) => CallResult.Of(LibC.shutdown(descriptor, LibC.SHUT_WR));

    /// <summary>True for a socket of type SOCK_STREAM.</summary>
    public static bool IsStreamSocket(int descriptor)
    {
        int type;
        socklen_t size = sizeof(int);
        return LibC.getsockopt(descriptor, LibC.SOL_SOCKET, LibC.SO_TYPE, &type, &size) == 0 && type == LibC.SOCK_STREAM;
    }

    private const int SEEK_DATA = 3;
    private const int SEEK_HOLE = 4;

    private static OpenModes? Access(int descriptor)
    {
        CallResult flags = GetFlags(descriptor);
        return flags.Failed ? null : (OpenModes)((int)flags.Value & LibC.O_ACCMODE);
    }

    /// <summary>Tmds.LibC has no writev.</summary>
    [LibraryImport("libc", SetLastError = true)]
    private static partial nint writev(int descriptor, IoVector* vectors, int count);
}
