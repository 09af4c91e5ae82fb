using System.Text;
using Tmds.Linux;

namespace RdmaMigration.Engine.Tests;

/// <summary>A FIFO, and its writing end once something is written.</summary>
internal sealed class Fifo : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
    private FileStream? _writer;

    public Fifo()
    {
        Path = System.IO.Path.Combine(_directory.FullName, "fifo");
        Make(Path);
    }

    public string Path { get; }

    /// <summary>Makes one.</summary>
    public static unsafe void Make(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            Assert.Equal(0, LibC.mkfifo(name, 0b110_000_000));
        }
    }

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
