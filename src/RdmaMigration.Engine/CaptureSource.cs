using Microsoft.Win32.SafeHandles;
using RdmaMigration.Stream;

namespace RdmaMigration.Engine;

/// <summary>A migration stream in a file, or coming through a pipe. Opened for reading alone. One thread reads.</summary>
public sealed class CaptureSource : IStreamSource, IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly FileStream _stream;
    private readonly CancellationToken _cancel;
    private long _read;

    /// <param name="path">A path, or <c>-</c> for standard input.</param>
    /// <param name="cancel">Looked at before each read.</param>
    /// <exception cref="StorageException">It cannot be opened; the message names the path.</exception>
    public CaptureSource(string path, CancellationToken cancel = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Name = path == "-" ? "standard input" : path;
        _cancel = cancel;
        try
        {
            _file = path == "-"
                ? new SafeFileHandle(0, ownsHandle: false)
                : File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.SequentialScan);
            // The stream's reader has a buffer of its own.
            _stream = new FileStream(_file, FileAccess.Read, bufferSize: 0);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"cannot read '{Name}': {failed.Message}", failed);
        }

        Length = _stream.CanSeek ? _stream.Length : null;
    }

    /// <summary>What to call it in messages.</summary>
    public string Name { get; }

    /// <summary>Bytes in the file; null for a pipe.</summary>
    public long? Length { get; }

    /// <summary>Bytes read so far. Any thread.</summary>
    public long BytesRead => Volatile.Read(ref _read);

    /// <inheritdoc/>
    /// <exception cref="StorageException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public int Read(Span<byte> buffer)
    {
        _cancel.ThrowIfCancellationRequested();
        try
        {
            int read = _stream.Read(buffer);
            Volatile.Write(ref _read, _read + read);
            return read;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"cannot read '{Name}' after {_read} bytes: {failed.Message}", failed);
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _stream.Dispose();
        _file.Dispose();
    }
}
