using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A file system of 24 MiB. Disposing unmounts it; whoever writes there must have ended.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private SmallDisk(string folder) => Folder = folder;

    /// <summary>Where it is mounted, with a trailing slash.</summary>
    public string Folder { get; }

    public static async Task<SmallDisk> MountAsync(string folder)
    {
        Assert.Equal((0, ""), await ChildProcess.RunAsync(Executables.OnPath("mount", "mount"), "-t", "tmpfs", "-o", "size=24M", "tmpfs", folder));
        return new SmallDisk(folder);
    }

    public async ValueTask DisposeAsync() => Assert.Equal((0, ""), await ChildProcess.RunAsync(Executables.OnPath("umount", "mount"), Folder));
}
