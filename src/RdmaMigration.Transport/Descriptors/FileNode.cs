using System.Text;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>What kind of file stands somewhere.</summary>
public enum FileKind
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
public readonly record struct FileNode(FileKind Kind, ulong Device, ulong Number)
{
    /// <summary>What a path leads to, symbolic links followed; null when there is nothing, or this user cannot see it.</summary>
    public static FileNode? At(string path) => Look(path, 0);

    /// <summary>What stands under a name, a symbolic link as itself; null when there is nothing, or this user cannot see it.</summary>
    public static FileNode? Named(string path) => Look(path, AT_SYMLINK_NOFOLLOW);

    /// <summary>What a descriptor is open on; null when there is no such descriptor.</summary>
    public static unsafe FileNode? Of(int descriptor)
    {
        stat status;
        return fstat(descriptor, &status) == 0 ? From(status) : null;
    }

    /// <summary>What a <c>file:</c> or <c>fd:</c> address stands for now; null when there is nothing, and for every other kind of address.</summary>
    public static FileNode? Of(MigrationUri uri) => uri switch
    {
        FileUri file => At(file.Path),
        DescriptorUri inherited => Of(inherited.Number),
        _ => null,
    };

    /// <summary>Both are the same file or block device, so that writing to the one overwrites the other. False for what keeps no bytes, such as a socket.</summary>
    public static bool IsSameStorage(FileNode? one, FileNode? other) => one is { Kind: FileKind.Regular or FileKind.BlockDevice } && one == other;

    private static unsafe FileNode? Look(string path, int flags)
    {
        stat status;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return fstatat(AT_FDCWD, name, &status, flags) == 0 ? From(status) : null;
        }
    }

    private static FileNode From(in stat status)
    {
        uint format = (uint)(status.st_mode & S_IFMT);
        FileKind kind = format switch
        {
            _ when format == (uint)S_IFREG => FileKind.Regular,
            _ when format == (uint)S_IFDIR => FileKind.Directory,
            _ when format == (uint)S_IFLNK => FileKind.Link,
            _ when format == (uint)S_IFIFO => FileKind.Fifo,
            _ when format == (uint)S_IFSOCK => FileKind.Socket,
            _ when format == (uint)S_IFCHR => FileKind.CharacterDevice,
            _ when format == (uint)S_IFBLK => FileKind.BlockDevice,
            _ => FileKind.Unknown,
        };
        return kind is FileKind.BlockDevice
            ? new FileNode(kind, 0, (ulong)status.st_rdev)
            : new FileNode(kind, (ulong)status.st_dev, (ulong)status.st_ino);
    }
}
