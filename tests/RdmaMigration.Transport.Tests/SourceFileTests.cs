using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>The file that a machine comes from: no channel writes to it, under whatever name it is asked to.</summary>
public sealed class SourceFileTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");

    public SourceFileTests()
    {
        File.WriteAllText(Source, "machine");
        File.CreateSymbolicLink(Path.Combine(_directory.FullName, "link"), "source");
        File.WriteAllText(Path.Combine(_directory.FullName, "other"), "other");
    }

    private string Source => Path.Combine(_directory.FullName, "source");

    public void Dispose() => _directory.Delete(recursive: true);

    [Theory]
    [InlineData("source", 0)]
    [InlineData("source", 3)]
    [InlineData("link", 0)]
    public void A_destination_that_is_the_source_is_refused_before_a_byte_of_it_changes(string name, long offset)
    {
        FileUri uri = new(Path.Combine(_directory.FullName, name), offset);
        ConnectFailedException refused = Assert.Throws<ConnectFailedException>(() => Open(uri));
        Assert.Equal(FailureReason.Policy, refused.Reason);
        Assert.StartsWith($"{uri} ", refused.Message, StringComparison.Ordinal);
        Assert.Equal("machine", File.ReadAllText(Source));
    }

    [Fact]
    public void A_descriptor_of_the_source_is_refused_and_stays_open()
    {
        using FileStream open = new(Source, FileMode.Open, FileAccess.ReadWrite);
        Assert.Throws<ConnectFailedException>(() => Open(new DescriptorUri(open.SafeFileHandle.DangerousGetHandle().ToInt32())));
        open.WriteByte((byte)'M');
        open.Flush();
        Assert.Equal("Machine", File.ReadAllText(Source));
    }

    [Fact]
    public void Another_file_is_written()
    {
        using (OutgoingChannel channel = Open(new FileUri(Path.Combine(_directory.FullName, "other"))))
        {
            channel.Output.Write("new"u8);
        }

        Assert.Equal("new", File.ReadAllText(Path.Combine(_directory.FullName, "other")));
    }

    // A machine that is read from a device and one that is written to it pass each other by.
    [Fact]
    public void A_file_that_keeps_no_bytes_is_not_overwritten()
    {
        FileNode nowhere = FileNode.At("/dev/null")!.Value;
        Assert.Equal(FileKind.CharacterDevice, nowhere.Kind);
        Assert.False(FileNode.IsSameStorage(nowhere, nowhere));
    }

    private OutgoingChannel Open(MigrationUri uri) =>
        DescriptorOutgoingChannel.Open(uri, TestOptions.Descriptors with { Source = FileNode.At(Source) }, CancellationToken.None);
}
