using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A file system of 16 MiB whose writers can be made to wait. Disposing unmounts it; whoever writes there must have ended.</summary>
internal sealed class FrozenDisk : IAsyncDisposable
{
    private bool _isFrozen;

    private FrozenDisk(string folder) => Folder = folder;

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    /// <summary>Why this host cannot have one; null when it can.</summary>
    public static string? WhyNot => !Environment.IsPrivilegedProcess ? "mounting needs root" : File.Exists("/dev/loop-control") ? null : "no loop devices";

    public static async Task<FrozenDisk> MountAsync(string folder, string image)
    {
        await using (FileStream file = File.Create(image))
        {
            file.SetLength(16 << 20);
        }

        await RunAsync("mkfs.ext4", "e2fsprogs", "-q", image);
        await RunAsync("mount", "mount", "-o", "loop", image, folder);
        return new FrozenDisk(folder);
    }

    /// <summary>From here on each write waits.</summary>
    public async Task FreezeAsync()
    {
        await RunAsync("fsfreeze", "util-linux", "--freeze", Folder);
        _isFrozen = true;
    }

    /// <summary>Lets the writes go on.</summary>
    public async Task ThawAsync()
    {
        await RunAsync("fsfreeze", "util-linux", "--unfreeze", Folder);
        _isFrozen = false;
    }

    public async ValueTask DisposeAsync()
    {
        if (_isFrozen)
        {
            await ThawAsync();
        }

        await RunAsync("umount", "mount", Folder);
    }

    private static async Task RunAsync(string program, string package, params string[] arguments)
    {
        (int exitCode, string output) = await ChildProcess.RunAsync(Executables.OnPath(program, package), arguments);
        Assert.True(exitCode == 0, $"{program}: {output}");
    }
}
