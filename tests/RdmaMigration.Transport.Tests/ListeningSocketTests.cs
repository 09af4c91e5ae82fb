using System.Runtime.InteropServices;

namespace RdmaMigration.Transport.Tests;

/// <summary>A UNIX domain socket in a directory that this user may no longer write.</summary>
public sealed partial class ListeningSocketTests : IDisposable
{
    private const uint Nobody = 65534;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_path_that_cannot_be_removed_is_named_and_listened_at_once_it_can_be()
    {
        string path = Path.Combine(_directory.FullName, "socket");
        ListeningSocket socket = SocketBinding.Bind(new UnixUri(path), 1);
        File.SetUnixFileMode(_directory.FullName, UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);

        // Root may remove everything. Files are looked at with this thread's user alone.
        int user = SetFileUser(Nobody);
        try
        {
            Assert.Contains(path, socket.Close(), StringComparison.Ordinal);
            ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() => SocketBinding.Reopen([socket], 1));
            Assert.Contains($"'{path}' could not be removed", failed.Message, StringComparison.Ordinal);
            Assert.Contains("write permission", failed.Message, StringComparison.Ordinal);
        }
        finally
        {
            _ = SetFileUser((uint)user);
            File.SetUnixFileMode(_directory.FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        SocketBinding.Reopen([socket], 1);
        using Stream source = IncomingPair.ConnectTo(new System.Net.Sockets.UnixDomainSocketEndPoint(path));
        Assert.Null(socket.Close());
        Assert.False(File.Exists(path));
    }

    [LibraryImport("libc", EntryPoint = "setfsuid")]
    private static partial int SetFileUser(uint user);
}
