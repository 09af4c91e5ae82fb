using System.Text;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Opens the file of a <c>file:</c> address at its offset.</summary>
internal static unsafe class OpenedFile
{
    /// <summary>Guest memory is its owner's business: rw-------, as QEMU has it.</summary>
    private const ushort CreateMode = 0b110_000_000;

    /// <param name="uri">The file.</param>
    /// <param name="source">What must not be written to.</param>
    /// <exception cref="ConnectFailedException">It cannot be opened or cut at the offset, or is the source.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) ForWriting(FileUri uri, FileNode? source)
    {
        SafeFileHandle file = Open(uri, O_WRONLY | O_CREAT);
        int descriptor = file.DangerousGetHandle().ToInt32();
        FileNode? node = FileNode.Of(descriptor);
        if (FileNode.IsSameStorage(node, source))
        {
            file.Dispose();
            throw IsSource(uri);
        }

        if (node is { Kind: FileKind.Regular } && ftruncate(descriptor, uri.Offset) != 0)
        {
            throw Failed(file, uri, "cut it there");
        }

        return (At(file, uri), node is { Kind: FileKind.Fifo or FileKind.CharacterDevice } ? DescriptorKind.Pipe : DescriptorKind.File);
    }

    /// <summary>A destination that is what is being sent.</summary>
    public static ConnectFailedException IsSource(MigrationUri uri) =>
        new(FailureReason.Policy, $"{uri} is where the machine comes from, and would be overwritten: name another destination");

    /// <exception cref="ConnectFailedException">It cannot be opened, or has no such offset.</exception>
    public static PolledDescriptor ForReading(FileUri uri) => At(Open(uri, O_RDONLY), uri);

    private static PolledDescriptor At(SafeFileHandle file, FileUri uri) =>
        uri.Offset != 0 && lseek(file.DangerousGetHandle().ToInt32(), uri.Offset, SEEK_SET) < 0
            ? throw Failed(file, uri, "go there")
            : new PolledDescriptor(file, uri.ToString());

    private static SafeFileHandle Open(FileUri uri, int flags)
    {
        byte[] path = Encoding.UTF8.GetBytes(uri.Path + '\0');
        fixed (byte* name = path)
        {
            // O_NONBLOCK: a FIFO without a partner is an error here, not a wait.
            int descriptor = open(name, flags | O_CLOEXEC | O_NONBLOCK, CreateMode);
            int error = errno;
            return descriptor >= 0
                ? new SafeFileHandle(descriptor, ownsHandle: true)
                : throw new ConnectFailedException($"cannot open '{uri.Path}' of {uri}: {ErrorText.Of(error)}{Advice(error)}");
        }
    }

    private static string Advice(int error) => error switch
    {
        _ when error == ENOENT => "; check the path and that its directory is there",
        _ when error == EACCES || error == EPERM => "; give this user the permission, or choose another path",
        _ when error == EISDIR => "; name a file in it",
        _ when error == ENXIO => "; nobody reads this FIFO",
        _ => "",
    };

    private static ConnectFailedException Failed(SafeFileHandle file, FileUri uri, string step)
    {
        string reason = ErrorText.Of(errno);
        file.Dispose();
        return new ConnectFailedException($"the offset {uri.Offset} of {uri}: cannot {step}: {reason}");
    }
}
