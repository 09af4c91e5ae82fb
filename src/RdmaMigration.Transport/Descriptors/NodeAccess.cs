using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>Who may use a file: its owner, group and mode.</summary>
internal readonly record struct NodeAccess(uint Owner, uint Group, uint Mode)
{
    /// <summary>Of what stands under a name; null when there is nothing.</summary>
    public static NodeAccess? Of(string path) => FileStatus.Named(path) is { } status ? new NodeAccess(status.Owner, status.Group, status.Permissions) : null;

    /// <summary>Gives another file the same, as far as this user may.</summary>
    public void Restore(string path)
    {
        if (Of(path) == this)
        {
            return;
        }

        // A user who may not give the owner back owns the file now, and so may do no less with it.
        _ = FileStatus.SetOwner(path, Owner, Group);
        _ = FileStatus.SetPermissions(path, Mode);
    }
}
