using System.Text;
using Tmds.Linux;

namespace RdmaMigration.Engine.Tests;

/// <summary>A FIFO, and its writing end once something is written.</summary>
internal sealed class Fifo : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
    private FileStream? _writer;

    public unsafe Fifo()
    {
        Path = System.IO.Path.Combine(_directory.FullName, "fifo");
        fixed (byte* name = Encoding.UTF8.GetBytes(Path + '\0'))
        {
            Assert.Equal(0, LibC.mkfifo(name, 0b110_000_000));
        }
    }

    public string Path { get; }

    /// <summary>Writes; waits until somebody reads.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        _writer ??= new FileStream(Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        _writer.Write(bytes);
    }

    /// <summary>Ends what is read.</summary>
    public void End()
    {
        _writer?.Dispose();
        _writer = null;
    }

    public void Dispose()
    {
        End();
        _directory.Delete(recursive: true);
    }
}
