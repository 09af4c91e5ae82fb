using RdmaMigration.Streams;

namespace RdmaMigration.Engine.Tests;

public sealed class CaptureFileTests : IDisposable
{
    private static readonly Action s_go = () => { };

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    private readonly List<string> _left = [];

    public void Dispose()
    {
        Assert.Empty(_left);
        _directory.Delete(recursive: true);
    }

    private string[] Names => [.. _directory.EnumerateFileSystemInfos().Select(entry => entry.Name).Order()];

    [Fact]
    public void Nothing_has_the_name_before_the_commit_and_nothing_else_after_it()
    {
        CaptureTarget target = CaptureTarget.ToFile(Path.Combine(_directory.FullName, "vm.qemu"));
        using (CaptureFile file = New(target))
        {
            file.Write([1, 2, 3]);
            Assert.DoesNotContain("vm.qemu", Names);
            file.Commit(target, "pc", DateTimeOffset.UnixEpoch, "peer", s_go);
            Assert.Equal(target.File, file.StandsAt);
        }

        Assert.Equal(["vm.qemu"], Names);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(target.File!));
    }

    [Fact]
    public void A_capture_that_is_not_committed_leaves_nothing_and_the_old_file_stays()
    {
        CaptureTarget target = CaptureTarget.ToFile(Path.Combine(_directory.FullName, "vm.qemu"));
        File.WriteAllText(target.File!, "old");
        using (CaptureFile file = New(target))
        {
            file.Write([1, 2, 3]);
        }

        Assert.Equal(["vm.qemu"], Names);
        Assert.Equal("old", File.ReadAllText(target.File!));
    }

    [Fact]
    public void A_capture_that_is_not_wanted_any_more_once_it_is_synchronised_gets_no_name()
    {
        CaptureTarget target = CaptureTarget.ToFile(Path.Combine(_directory.FullName, "vm.qemu"));
        using (CaptureFile file = New(target))
        {
            file.Write([1, 2, 3]);
            Assert.Throws<OperationCanceledException>(
                () => file.Commit(target, "pc", DateTimeOffset.UnixEpoch, "peer", () => throw new OperationCanceledException()));
        }

        Assert.Empty(Names);
    }

    [Fact]
    public unsafe void Gathered_segments_are_written_in_order_beyond_the_kernels_limit_for_one_call()
    {
        CaptureTarget target = CaptureTarget.ToFile(Path.Combine(_directory.FullName, "vm.qemu"));
        byte[] bytes = [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * 7))];
        fixed (byte* first = bytes)
        {
            IoSegment[] segments = new IoSegment[3000];
            for (int i = 0; i < segments.Length; i++)
            {
                segments[i] = new IoSegment(first + (i * 3), 3);
            }

            using CaptureFile file = New(target);
            file.WriteGather(segments);
            Assert.Equal(9000, file.Written);
            file.Commit(target, "pc", DateTimeOffset.UnixEpoch, "peer", s_go);
        }

        Assert.Equal(bytes, File.ReadAllBytes(target.File!));
    }

    [Fact]
    public void A_directory_that_is_gone_is_named_in_the_error()
    {
        CaptureTarget target = CaptureTarget.ToDirectory(Path.Combine(_directory.FullName, "gone"));
        StorageException error = Assert.Throws<StorageException>(() => New(target));
        Assert.Contains(target.Directory, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Too_little_space_is_reported_with_what_is_free_and_what_is_needed()
    {
        CaptureTarget target = CaptureTarget.ToDirectory(_directory.FullName);
        target.CheckRoom(1);
        Assert.Contains($"{ulong.MaxValue}", Assert.Throws<StorageException>(() => target.CheckRoom(ulong.MaxValue)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_in_a_directory_follow_the_pattern_and_never_collide_nor_leave_it()
    {
        CaptureTarget target = CaptureTarget.ToDirectory(_directory.FullName, "{machine}-{time}.qemu");
        Directory.CreateDirectory(Path.Combine(_directory.FullName, "_pc-19700101T000000Z.qemu.1"));
        for (int i = 0; i < 3; i++)
        {
            using CaptureFile file = New(target);
            file.Commit(target, "../pc", DateTimeOffset.UnixEpoch, "peer", s_go);
        }

        Assert.Equal(["_pc-19700101T000000Z.qemu", "_pc-19700101T000000Z.qemu.1", "_pc-19700101T000000Z.qemu.2", "_pc-19700101T000000Z.qemu.3"], Names);
    }

    [Theory]
    [InlineData("a/b")]
    [InlineData("{unknown}")]
    [InlineData("")]
    public void A_pattern_that_is_no_file_name_is_refused(string pattern) =>
        Assert.Throws<FormatException>(() => CaptureTarget.ToDirectory(_directory.FullName, pattern));

    [Fact]
    public void A_cancel_ends_a_write()
    {
        using CancellationTokenSource cancel = new();
        using CaptureFile file = new(CaptureTarget.ToDirectory(_directory.FullName), _left.Add) { Cancellation = cancel.Token };
        cancel.Cancel();
        Assert.Throws<OperationCanceledException>(() => file.Write([1]));
    }

    private CaptureFile New(CaptureTarget target) => new(target, _left.Add);
}
