using System.Text;

namespace RdmaMigration.Linux.Tests;

public sealed class DescriptorTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"rdmamig-{Guid.NewGuid():N}");

    public void Dispose() => File.Delete(_path);

    [Fact]
    public unsafe void A_file_is_written_from_several_places_and_read_back()
    {
        int file = Descriptor.Open(_path, OpenModes.ReadWrite | OpenModes.Create).OrThrow("open");
        try
        {
            byte[] one = Encoding.ASCII.GetBytes("abc");
            byte[] two = Encoding.ASCII.GetBytes("defg");
            fixed (byte* first = one, second = two)
            {
                IoVector[] vectors = [new() { Address = first, Length = 3 }, new() { Address = second, Length = 4 }];
                Assert.Equal(7, Descriptor.WriteGathered(file, vectors).Value);
            }

            Assert.Equal(0, Descriptor.Seek(file, 0, SeekOrigin.Begin).Value);
            byte[] read = new byte[10];
            Assert.Equal(7, Descriptor.Read(file, read).Value);
            Assert.Equal("abcdefg", Encoding.ASCII.GetString(read, 0, 7));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_path));
            Assert.True(Descriptor.IsReadable(file) && Descriptor.IsWritable(file) && Descriptor.IsOpen(file));
        }
        finally
        {
            _ = Descriptor.Close(file);
        }
    }

    [Fact]
    public void A_failed_call_returns_its_error_and_throws_it_on_request()
    {
        CallResult opened = Descriptor.Open(_path, OpenModes.Read);
        Assert.True(opened.Failed);
        Assert.Equal(Errno.ENOENT, opened.Error);
        LinuxException thrown = Assert.Throws<LinuxException>(() => opened.OrThrow("open"));
        Assert.Equal(Errno.ENOENT, thrown.Error);
        Assert.Equal("open", thrown.Call);
        Assert.Equal(Errno.EBADF, Descriptor.Read(-1, new byte[1]).Error);
        Assert.False(Descriptor.IsReadable(-1) || Descriptor.IsWritable(-1) || Descriptor.IsOpen(-1) || Descriptor.IsTerminal(-1));
    }
}
