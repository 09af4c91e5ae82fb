using System.Text;
using Tmds.Linux;
using static Tmds.Linux.LibC;

namespace RdmaMigration.Transport;

/// <summary>Who may use a file: its owner, group and mode.</summary>
internal readonly unsafe record struct NodeAccess(uint Owner, uint Group, uint Mode)
{
    /// <summary>Of what stands under a name; null when there is nothing.</summary>
    public static NodeAccess? Of(string path)
    {
        stat status;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return fstatat(AT_FDCWD, name, &status, AT_SYMLINK_NOFOLLOW) == 0
                ? new NodeAccess((uint)status.st_uid, (uint)status.st_gid, (uint)status.st_mode & 0xfff)
                : null;
        }
    }

    /// <summary>Gives another file the same, as far as this user may.</summary>
    public void Restore(string path)
    {
        if (Of(path) == this)
        {
            return;
        }

        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            // An owner that this user cannot give back loses no more than the file's first owner could.
            _ = lchown(name, Owner, Group);
            _ = chmod(name, (ushort)Mode);
        }
    }
}
