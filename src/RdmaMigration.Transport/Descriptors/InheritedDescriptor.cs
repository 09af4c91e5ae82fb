using Microsoft.Win32.SafeHandles;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Takes over the descriptor of an <c>fd:</c> address.</summary>
internal static unsafe class InheritedDescriptor
{
    /// <exception cref="ConnectFailedException">It is not open for reading, or of a kind that carries no stream.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) ForReading(DescriptorUri uri) => TakeOver(uri, forWriting: false);

    /// <param name="uri">The descriptor.</param>
    /// <param name="source">What must not be written to.</param>
    /// <exception cref="ConnectFailedException">It is not open for writing, of a kind that carries no stream, or the source.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) ForWriting(DescriptorUri uri, FileNode? source) =>
        FileNode.IsSameStorage(FileNode.Of(uri), source) ? throw OpenedFile.IsSource(uri) : TakeOver(uri, forWriting: true);

    private static (PolledDescriptor Descriptor, DescriptorKind Kind) TakeOver(DescriptorUri uri, bool forWriting)
    {
        DescriptorKind kind = KindOf(uri, forWriting);
        return (new PolledDescriptor(new SafeFileHandle(Own(uri), ownsHandle: true), uri.ToString()), kind);
    }

    private static DescriptorKind KindOf(DescriptorUri uri, bool forWriting)
    {
        int number = uri.Number;
        if (FileNode.Of(number) is not { } node)
        {
            throw new ConnectFailedException($"{uri}: this process has no descriptor {number}; start it with one, as the shell does with {number}<FILE or {number}>FILE");
        }

        int mode = fcntl(number, F_GETFL) & O_ACCMODE;
        if (mode != O_RDWR && mode != (forWriting ? O_WRONLY : O_RDONLY))
        {
            throw new ConnectFailedException($"{uri}: the descriptor is not open for {(forWriting ? "writing" : "reading")}");
        }

        if (node.Kind is FileKind.Socket)
        {
            int type;
            socklen_t size = sizeof(int);
            return getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM
                ? DescriptorKind.Socket
                : throw new ConnectFailedException($"{uri}: the socket is not one of streams (SOCK_STREAM)");
        }

        if (isatty(number) == 1)
        {
            throw new ConnectFailedException($"{uri}: the descriptor is a terminal; redirect it");
        }

        return node.Kind switch
        {
            FileKind.Regular or FileKind.BlockDevice => DescriptorKind.File,
            FileKind.Fifo or FileKind.CharacterDevice => DescriptorKind.Pipe,
            _ => throw new ConnectFailedException($"{uri}: the descriptor is none of socket, pipe and file"),
        };
    }

    /// <summary>The number to use. The standard streams' own numbers must not come free: the next file to be opened would get one, and what is printed.</summary>
    private static int Own(DescriptorUri uri)
    {
        if (uri.Number > STDERR_FILENO)
        {
            _ = fcntl(uri.Number, F_SETFD, FD_CLOEXEC);
            return uri.Number;
        }

        int own = fcntl(uri.Number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        fixed (byte* path = "/dev/null\0"u8)
        {
            int nothing = open(path, O_RDWR | O_CLOEXEC, 0);
            bool isReplaced = own >= 0 && nothing >= 0 && dup2(nothing, uri.Number) >= 0;
            string reason = isReplaced ? "" : ErrorText.Of(errno);
            Close(nothing);
            if (isReplaced)
            {
                return own;
            }

            Close(own);
            throw new ConnectFailedException($"{uri}: cannot be taken over: {reason}");
        }

        static void Close(int descriptor) => _ = descriptor >= 0 ? close(descriptor) : 0;
    }
}
