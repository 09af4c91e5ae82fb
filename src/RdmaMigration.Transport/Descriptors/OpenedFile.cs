using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Opens the file of a <c>file:</c> address at its offset.</summary>
internal static class OpenedFile
{
    /// <param name="uri">The file.</param>
    /// <param name="source">What must not be written to.</param>
    /// <exception cref="ConnectFailedException">It cannot be opened or cut at the offset, or is the source.</exception>
    public static (PolledDescriptor Descriptor, DescriptorKind Kind) ForWriting(FileUri uri, FileNode? source)
    {
        SafeFileHandle file = Open(uri, OpenModes.Write | OpenModes.Create);
        int descriptor = file.DangerousGetHandle().ToInt32();
        FileNode? node = FileNode.Of(descriptor);
        if (FileNode.IsSameStorage(node, source))
        {
            file.Dispose();
            throw IsSource(uri);
        }

        if (node is { Kind: FileKind.Regular } && Descriptor.Truncate(descriptor, uri.Offset) is { Failed: true } cut)
        {
            throw Failed(file, uri, "truncate the file there", cut.Error);
        }

        return (At(file, uri), node is { Kind: FileKind.Fifo or FileKind.CharacterDevice } ? DescriptorKind.Pipe : DescriptorKind.File);
    }

    /// <summary>A destination that is what is being sent.</summary>
    public static ConnectFailedException IsSource(MigrationUri uri) =>
        new(FailureReason.Policy, $"{uri} is the file that the machine is read from, and would be overwritten; name another destination");

    /// <exception cref="ConnectFailedException">It cannot be opened, or has no such offset.</exception>
    public static PolledDescriptor ForReading(FileUri uri) => At(Open(uri, OpenModes.Read), uri);

    private static PolledDescriptor At(SafeFileHandle file, FileUri uri) =>
        uri.Offset != 0 && Descriptor.Seek((int)file.DangerousGetHandle(), uri.Offset, SeekOrigin.Begin) is { Failed: true } moved
            ? throw Failed(file, uri, "seek to it", moved.Error)
            : new PolledDescriptor(file, uri.ToString());

    private static SafeFileHandle Open(FileUri uri, OpenModes modes)
    {
        // Not blocking: a FIFO without a partner is an error here, not a wait.
        CallResult opened = Descriptor.Open(uri.Path, modes | OpenModes.NonBlocking);
        return opened.Failed
            ? throw new ConnectFailedException($"cannot open '{uri.Path}' of {uri}: {opened.Error.Text()}{Advice(opened.Error)}")
            : new SafeFileHandle((nint)opened.Value, ownsHandle: true);
    }

    private static string Advice(Errno error) => error switch
    {
        Errno.ENOENT => "; check the path and that its directory is there",
        Errno.EACCES or Errno.EPERM => "; give this user the permission, or choose another path",
        Errno.EISDIR => "; name a file in it",
        Errno.ENXIO => "; nobody reads this FIFO",
        _ => "",
    };

    private static ConnectFailedException Failed(SafeFileHandle file, FileUri uri, string step, Errno error)
    {
        file.Dispose();
        return new ConnectFailedException($"the offset {uri.Offset} of {uri}: cannot {step}: {error.Text()}");
    }
}
