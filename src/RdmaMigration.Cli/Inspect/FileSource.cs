using Microsoft.Win32.SafeHandles;
using RdmaMigration.Stream;

namespace RdmaMigration.Cli.Inspect;

/// <summary>A migration stream in a file, or coming through a pipe.</summary>
internal sealed class FileSource : IStreamSource, IDisposable
{
    private readonly FileStream _file;

    /// <param name="path">A path, or <c>-</c> for standard input.</param>
    /// <exception cref="IOException">It cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    public FileSource(string path) =>
        // The parser has a buffer of its own.
        _file = path == "-"
            ? new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0)
            : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);

    public int Read(Span<byte> buffer) => _file.Read(buffer);

    public void Dispose() => _file.Dispose();
}
