using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>A migration stream in a file, or coming through a pipe. Opened for reading alone. One thread reads.</summary>
internal sealed class CaptureSource : IStreamSource, IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly CancellationToken _cancel;
    private readonly WakeEvent? _wake;
    private readonly CancellationTokenRegistration _waking;
    private long _read;

    /// <param name="path">A path, or <c>-</c> for standard input.</param>
    /// <param name="cancel">Looked at before each read; it ends the wait for a pipe's bytes.</param>
    /// <exception cref="StorageException">It cannot be opened; the message names the path.</exception>
    public CaptureSource(string path, CancellationToken cancel = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Name = path == "-" ? "standard input" : path;
        _cancel = cancel;
        _file = path == "-" ? new SafeFileHandle(0, ownsHandle: false) : Open(path);
        try
        {
            // A directory opens, and does not read.
            _ = Demand(Descriptor.Read(Number, []));
            Length = BytesAhead();
            if (Length is null)
            {
                _wake = new WakeEvent();
                _waking = cancel.Register(_wake.Set);
            }
        }
        catch (LinuxException failed)
        {
            Dispose();
            throw new StorageException($"cannot read '{Name}': {failed.Message}", failed);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What to call it in messages.</summary>
    public string Name { get; }

    /// <summary>Bytes in the file; null for a pipe.</summary>
    public long? Length { get; }

    /// <summary>Which file it is.</summary>
    public FileNode? Node => FileNode.Of(Number);

    /// <summary>Bytes read so far. Any thread.</summary>
    public long BytesRead => Volatile.Read(ref _read);

    /// <inheritdoc/>
    /// <exception cref="StorageException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public int Read(Span<byte> buffer) => Read(buffer, Timeout.InfiniteTimeSpan);

    /// <summary>As the other overload; returns 0 also when a pipe's writer has been silent for this long.</summary>
    public int Read(Span<byte> buffer, TimeSpan silence)
    {
        Deadline deadline = Deadline.After(silence);
        while (true)
        {
            if (_wake?.Wait(Number, PollEvents.Readable, deadline) is WakeReasons.None && deadline.HasPassed)
            {
                return 0;
            }

            _cancel.ThrowIfCancellationRequested();
            CallResult read = Descriptor.Read(Number, buffer);
            if (!read.Failed)
            {
                Volatile.Write(ref _read, _read + read.Value);
                return (int)read.Value;
            }

            if (read.Error is not (Errno.EINTR or Errno.EAGAIN))
            {
                throw new StorageException($"cannot read '{Name}' after {_read} bytes: {read.Error.Text()}");
            }
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        _waking.Dispose();
        _wake?.Dispose();
        _file.Dispose();
    }

    private int Number => (int)_file.DangerousGetHandle();

    // NonBlocking: a FIFO opens before its writer is there, so that this wait can be cancelled too. The BCL would wait in its open.
    private SafeFileHandle Open(string path) => new((int)Demand(Descriptor.Open(path, OpenModes.Read | OpenModes.NonBlocking)), ownsHandle: true);

    /// <summary>Null for what has no end that could be sought: a pipe, a socket, a terminal.</summary>
    private long? BytesAhead()
    {
        CallResult start = Descriptor.Seek(Number, 0, SeekOrigin.Current);
        CallResult end = Descriptor.Seek(Number, 0, SeekOrigin.End);
        if (start.Failed || end.Failed)
        {
            return null;
        }

        _ = Demand(Descriptor.Seek(Number, start.Value, SeekOrigin.Begin));
        return end.Value - start.Value;
    }

    private long Demand(CallResult result) =>
        result.Failed ? throw new StorageException($"cannot read '{Name}': {result.Error.Text()}") : result.Value;
}
