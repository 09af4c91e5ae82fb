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
    public void NothingStandsUnderTheNameBeforeTheCommitAndNothingElseAfterIt()
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
    public void ACaptureThatIsNotCommittedLeavesNothingAndTheOldFileStays()
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
    public void ACaptureThatIsNotWantedAnyMoreOnceItIsSynchronisedGetsNoName()
    {
        CaptureTarget target = CaptureTarget.ToFile(Path.Combine(_directory.FullName, "vm.qemu"));
        using (CaptureFile file = New(target))
        {
            file.Write([1, 2, 3]);
            Assert.Throws<OperationCanceledException>(() => file.Commit(target, "pc", DateTimeOffset.UnixEpoch, "peer", () => throw new OperationCanceledException()));
        }

        Assert.Empty(Names);
    }

    [Fact]
    public unsafe void GatheredSegmentsAreWrittenInOrderBeyondTheKernelsLimitForOneCall()
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
    public void ADirectoryThatIsGoneIsNamedInTheError()
    {
        CaptureTarget target = CaptureTarget.ToDirectory(Path.Combine(_directory.FullName, "gone"));
        StorageException error = Assert.Throws<StorageException>(() => New(target));
        Assert.Contains(target.Directory, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TooLittleRoomIsSaidWithWhatIsFreeAndWhatIsNeeded()
    {
        CaptureTarget target = CaptureTarget.ToDirectory(_directory.FullName);
        target.CheckRoom(1);
        Assert.Contains($"{ulong.MaxValue}", Assert.Throws<StorageException>(() => target.CheckRoom(ulong.MaxValue)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NamesInADirectoryFollowThePatternAndNeverCollideNorLeaveIt()
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
    public void APatternThatIsNoFileNameIsRefused(string pattern) => Assert.Throws<FormatException>(() => CaptureTarget.ToDirectory(_directory.FullName, pattern));

    [Fact]
    public void ACancelEndsAWrite()
    {
        using CancellationTokenSource cancel = new();
        using CaptureFile file = new(CaptureTarget.ToDirectory(_directory.FullName), _left.Add, cancel.Token);
        cancel.Cancel();
        Assert.Throws<OperationCanceledException>(() => file.Write([1]));
    }

    private CaptureFile New(CaptureTarget target) => new(target, _left.Add, CancellationToken.None);
}
