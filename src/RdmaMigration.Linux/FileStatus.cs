using System.Text;
using Tmds.Linux;

namespace RdmaMigration.Linux;

/// <summary>What stat(2) says of a file.</summary>
/// <param name="Type">Its type: the bits S_IFMT of its mode.</param>
/// <param name="Permissions">The other bits of its mode.</param>
/// <param name="Device">The device that it is on.</param>
/// <param name="Inode">Its number there.</param>
/// <param name="SpecialDevice">Of a device node: which device it stands for.</param>
/// <param name="Owner">The user.</param>
/// <param name="Group">The group.</param>
public readonly unsafe record struct FileStatus(uint Type, uint Permissions, ulong Device, ulong Inode, ulong SpecialDevice, uint Owner, uint Group)
{
    /// <summary>A FIFO or a pipe.</summary>
    public const uint Fifo = 0x1000;
    /// <summary>A character device.</summary>
    public const uint CharacterDevice = 0x2000;
    /// <summary>A directory.</summary>
    public const uint Directory = 0x4000;
    /// <summary>A block device.</summary>
    public const uint BlockDevice = 0x6000;
    /// <summary>A regular file.</summary>
    public const uint Regular = 0x8000;
    /// <summary>A symbolic link.</summary>
    public const uint Link = 0xa000;
    /// <summary>A socket.</summary>
    public const uint Socket = 0xc000;

    private const uint TypeBits = 0xf000;

    /// <summary>Of what a path leads to, symbolic links followed; null when there is nothing, or this user cannot see it.</summary>
    public static FileStatus? At(string path) => Look(path, 0);

    /// <summary>Of what stands under a name, a symbolic link as itself; null when there is nothing, or this user cannot see it.</summary>
    public static FileStatus? Named(string path) => Look(path, LibC.AT_SYMLINK_NOFOLLOW);

    /// <summary>Of what a descriptor is open on; null when there is no such descriptor.</summary>
    public static FileStatus? Of(int descriptor)
    {
        stat status;
        return LibC.fstat(descriptor, &status) == 0 ? From(status) : null;
    }

    /// <summary>Gives what stands under a name an owner and a group. A symbolic link is changed itself.</summary>
    public static CallResult SetOwner(string path, uint owner, uint group)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return CallResult.Of(LibC.lchown(name, owner, group));
        }
    }

    /// <summary>Gives what a path leads to permissions.</summary>
    public static CallResult SetPermissions(string path, uint permissions)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return CallResult.Of(LibC.chmod(name, (ushort)permissions));
        }
    }

    private static FileStatus? Look(string path, int flags)
    {
        stat status;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return LibC.fstatat(LibC.AT_FDCWD, name, &status, flags) == 0 ? From(status) : null;
        }
    }

    private static FileStatus From(in stat status) => new(
        (uint)status.st_mode & TypeBits,
        (uint)status.st_mode & ~TypeBits,
        (ulong)status.st_dev,
        (ulong)status.st_ino,
        (ulong)status.st_rdev,
        (uint)status.st_uid,
        (uint)status.st_gid);
}
