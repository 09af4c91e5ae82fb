using System.Net.Sockets;
using RdmaMigration.Linux;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>What a capture takes the place of and what it does not, who may read it, and what becomes of one whose place is taken.</summary>
public sealed class CaptureTargetTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
    private readonly List<string> _left = [];

    private string Name => Path.Combine(_directory.FullName, "vm.qemu");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_capture_holds_guest_memory_and_is_its_owners_alone(bool replacesOpenOne)
    {
        if (replacesOpenOne)
        {
            File.WriteAllText(Name, "old");
            File.SetUnixFileMode(Name, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }

        Save(CaptureTarget.ToFile(Name));

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Name));
    }

    [Fact]
    public void The_target_of_a_symbolic_link_is_replaced_and_the_link_stays()
    {
        DirectoryInfo elsewhere = _directory.CreateSubdirectory("elsewhere");
        string file = Path.Combine(elsewhere.FullName, "real.qemu");
        File.WriteAllText(file, "old");
        File.CreateSymbolicLink(Path.Combine(elsewhere.FullName, "second"), "real.qemu");
        File.CreateSymbolicLink(Name, "elsewhere/second");

        Assert.Equal(file, Save(CaptureTarget.ToFile(Name)));

        Assert.Equal("elsewhere/second", new FileInfo(Name).LinkTarget);
        Assert.Equal([7], File.ReadAllBytes(Name));
        Assert.Equal(["real.qemu", "second"], elsewhere.EnumerateFiles().Select(entry => entry.Name).Order());
    }

    [Theory]
    [InlineData("fifo", "rdmamig relay URI \"exec:cat > ")]
    [InlineData("socket", "is not a regular file")]
    [InlineData("link to nothing", "is a symbolic link, which a capture would replace")]
    [InlineData("link to a device", "is not a regular file")]
    [InlineData("directory", "is a directory")]
    public void A_target_that_is_no_file_is_refused_before_the_machine_is_taken(string what, string reason)
    {
        CaptureTarget target = CaptureTarget.ToFile(Name);
        Make(what, Name);
        FileNode before = FileNode.Named(Name)!.Value;

        Assert.Contains(reason, target.WhyNotReplaceable(), StringComparison.Ordinal);
        Assert.Contains(reason, CaptureTarget.ToFile(Name).WhyNotReplaceable(), StringComparison.Ordinal);
        Assert.Contains(reason, Assert.Throws<StorageException>(() => Save(target)).Message, StringComparison.Ordinal);
        Assert.Equal(before, FileNode.Named(Name));
        Assert.Single(_directory.EnumerateFileSystemInfos());
    }

    [Theory]
    [InlineData("fifo")]
    [InlineData("link to a device")]
    [InlineData("directory")]
    public void A_complete_capture_whose_place_is_taken_meanwhile_stays_and_the_error_says_where(string what)
    {
        CaptureTarget target = CaptureTarget.ToFile(Name);
        StorageException failed;
        string? stands;
        using (CaptureFile file = new(target, _left.Add))
        {
            file.Write([7]);
            failed = Assert.Throws<StorageException>(() => file.Commit(target, "pc", DateTimeOffset.UnixEpoch, "peer", () => Make(what, Name)));
            stands = file.StandsAt;
        }

        Assert.Contains($"'{stands}'", failed.Message, StringComparison.Ordinal);
        Assert.Contains($"'{Name}'", failed.Message, StringComparison.Ordinal);
        Assert.Equal([7], File.ReadAllBytes(stands!));
        Assert.Empty(_left);
    }

    [Fact]
    public void A_machine_whose_name_is_taken_meanwhile_fails_with_the_file_that_has_it()
    {
        using RunningDestination destination = new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });
        using Socket source = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        source.Connect(destination.EndPoint);
        source.Send(StreamedMachine.Announcement(returnPath: false));
        RelayedMachine.Await(() => destination.Process.Query().RamTotal > 0, "no RAM was announced");
        Make("fifo", destination.File);
        source.Send([.. StreamedMachine.RamSection(), .. StreamedMachine.End()]);
        source.Shutdown(SocketShutdown.Send);

        MigrationInfo failed = destination.Ended();

        Assert.Equal((MigrationStatus.Failed, FailureReason.Storage), (failed.Status, failed.ErrorClass));
        Assert.Contains($"'{failed.File}'", failed.ErrorDescription, StringComparison.Ordinal);
        using CapturedMachine captured = new(ulong.MaxValue);
        using CaptureLoad load = new(failed.File!, ParameterSet.Defaults, captured, CancellationToken.None);
        Assert.Equal(StreamedMachine.Machine, load.Load().Configuration.MachineType);
    }

    // A directory in its place is what not even root can unlink.
    [Fact]
    public void A_partial_capture_that_cannot_be_removed_is_named_and_nothing_is_thrown()
    {
        string partial;
        using (CaptureFile file = new(CaptureTarget.ToFile(Name), _left.Add))
        {
            partial = _directory.EnumerateFiles().Single().FullName;
            File.Delete(partial);
            Directory.CreateDirectory(partial);
        }

        Assert.StartsWith($"the partial capture '{partial}' could not be removed: ", _left.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_partial_capture_that_went_with_its_directory_is_not_reported()
    {
        DirectoryInfo gone = _directory.CreateSubdirectory("gone");
        using (CaptureFile file = new(CaptureTarget.ToDirectory(gone.FullName), _left.Add))
        {
            gone.Delete(recursive: true);
        }

        Assert.Empty(_left);
    }

    [Fact]
    public void A_migration_is_torn_down_when_its_partial_capture_cannot_be_removed()
    {
        using RunningDestination destination = new(options => options with { Uri = new TcpUri("127.0.0.1", 0) });
        using (Socket source = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            source.Connect(destination.EndPoint);
            source.Send(StreamedMachine.Announcement(returnPath: false));
            RelayedMachine.Await(() => destination.Process.Query().RamTotal > 0, "no RAM was announced");
            string partial = Path.Combine(destination.DirectoryName, destination.LeftBehind.Single());
            File.Delete(partial);
            Directory.CreateDirectory(partial);
        }

        Assert.Equal(MigrationStatus.Failed, destination.Ended().Status);
        destination.Settle();
        using Socket next = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        next.Connect(destination.EndPoint);
        next.Send(StreamedMachine.All());
        next.Shutdown(SocketShutdown.Send);
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
    }

    private static void Make(string what, string name)
    {
        switch (what)
        {
            case "fifo":
                Fifo.Make(name);
                break;
            case "socket":
                // Its path is removed with it, unless it has another name by then.
                using (Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
                {
                    socket.Bind(new UnixDomainSocketEndPoint(name + ".first"));
                    File.Move(name + ".first", name);
                }

                break;
            case "link to nothing":
                File.CreateSymbolicLink(name, "absent");
                break;
            case "link to a device":
                File.CreateSymbolicLink(name, "/dev/null");
                break;
            default:
                Directory.CreateDirectory(name);
                break;
        }
    }

    private string? Save(CaptureTarget target)
    {
        using CaptureFile file = new(target, _left.Add);
        file.Write([7]);
        file.Commit(target, "pc", DateTimeOffset.UnixEpoch, "peer", () => { });
        return file.StandsAt;
    }
}
