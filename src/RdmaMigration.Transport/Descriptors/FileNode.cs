using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>What kind of file stands somewhere.</summary>
internal enum FileKind
{
    /// <summary>None of the others.</summary>
    Unknown,

    /// <summary>A regular file.</summary>
    Regular,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A symbolic link itself, not what it leads to.</summary>
    Link,

    /// <summary>A FIFO or a pipe.</summary>
    Fifo,

    /// <summary>A socket.</summary>
    Socket,

    /// <summary>A device that is none of blocks, terminals included.</summary>
    CharacterDevice,

    /// <summary>A block device.</summary>
    BlockDevice,
}

/// <summary>A file, by whatever name: two that are equal are the same one. A block device is the same under each of its nodes.</summary>
/// <param name="Kind">Of what kind it is.</param>
/// <param name="Device">The device that it is on; of a block device 0.</param>
/// <param name="Number">Its inode on the device; of a block device the device that it is.</param>
internal readonly record struct FileNode(FileKind Kind, ulong Device, ulong Number)
{
    /// <summary>What a path leads to, symbolic links followed; null when there is nothing, or this user cannot see it.</summary>
    public static FileNode? At(string path) => From(FileStatus.At(path));

    /// <summary>What stands under a name, a symbolic link as itself; null when there is nothing, or this user cannot see it.</summary>
    public static FileNode? Named(string path) => From(FileStatus.Named(path));

    /// <summary>What a descriptor is open on; null when there is no such descriptor.</summary>
    public static FileNode? Of(int descriptor) => From(FileStatus.Of(descriptor));

    /// <summary>What a <c>file:</c> or <c>fd:</c> address stands for now; null when there is nothing, and for every other kind of address.</summary>
    public static FileNode? Of(MigrationUri uri) => uri switch
    {
        FileUri file => At(file.Path),
        DescriptorUri inherited => Of(inherited.Number),
        PassedDescriptorUri { Handle.IsClosed: false } passed => Of((int)passed.Handle.DangerousGetHandle()),
        _ => null,
    };

    /// <summary>
    /// Both are the same file or block device, so that writing to the one overwrites the other. False for what keeps no bytes, such as a socket.
    /// </summary>
    public static bool IsSameStorage(FileNode? one, FileNode? other) => one is { Kind: FileKind.Regular or FileKind.BlockDevice } && one == other;

    private static FileNode? From(FileStatus? looked) => looked is not { } status ? null : status.Type switch
    {
        FileStatus.BlockDevice => new FileNode(FileKind.BlockDevice, 0, status.SpecialDevice),
        FileStatus.Regular => On(FileKind.Regular, status),
        FileStatus.Directory => On(FileKind.Directory, status),
        FileStatus.Link => On(FileKind.Link, status),
        FileStatus.Fifo => On(FileKind.Fifo, status),
        FileStatus.Socket => On(FileKind.Socket, status),
        FileStatus.CharacterDevice => On(FileKind.CharacterDevice, status),
        _ => On(FileKind.Unknown, status),
    };

    private static FileNode On(FileKind kind, FileStatus status) => new(kind, status.Device, status.Inode);
}
