using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Streams;
using RdmaMigration.Transport;
using Tmds.Linux;

namespace RdmaMigration.Engine;

/// <summary>A migration stream in a file, or coming through a pipe. Opened for reading alone. One thread reads.</summary>
public sealed unsafe class CaptureSource : IStreamSource, IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly CancellationToken _cancel;
    private readonly SafeFileHandle? _wake;
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
            ThrowIf(LibC.read(Number(_file), null, 0) < 0);
            Length = BytesAhead();
            if (Length is null)
            {
                _wake = new SafeFileHandle(LibC.eventfd(0, LibC.EFD_CLOEXEC), ownsHandle: true);
                ThrowIf(_wake.IsInvalid);
                _waking = cancel.Register(Wake);
            }
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
    public FileNode? Node => FileNode.Of(Number(_file));

    /// <summary>Bytes read so far. Any thread.</summary>
    public long BytesRead => Volatile.Read(ref _read);

    /// <inheritdoc/>
    /// <exception cref="StorageException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public int Read(Span<byte> buffer)
    {
        while (true)
        {
            if (_wake is not null)
            {
                AwaitBytes(_wake);
            }

            _cancel.ThrowIfCancellationRequested();
            int read;
            fixed (byte* first = buffer)
            {
                read = (int)LibC.read(Number(_file), first, buffer.Length);
            }

            if (read >= 0)
            {
                Volatile.Write(ref _read, _read + read);
                return read;
            }

            if (LibC.errno != LibC.EINTR && LibC.errno != LibC.EAGAIN)
            {
                throw new StorageException($"cannot read '{Name}' after {_read} bytes: {Marshal.GetPInvokeErrorMessage(LibC.errno)}");
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

    private static int Number(SafeFileHandle handle) => handle.DangerousGetHandle().ToInt32();

    private SafeFileHandle Open(string path)
    {
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            // O_NONBLOCK: a FIFO opens before its writer is there, so that this wait can be cancelled too.
            int descriptor = LibC.open(name, LibC.O_RDONLY | LibC.O_CLOEXEC | LibC.O_NONBLOCK);
            ThrowIf(descriptor < 0);
            return new SafeFileHandle(descriptor, ownsHandle: true);
        }
    }

    /// <summary>Null for what has no end that could be sought: a pipe, a socket, a terminal.</summary>
    private long? BytesAhead()
    {
        long start = LibC.lseek(Number(_file), 0, LibC.SEEK_CUR);
        long end = LibC.lseek(Number(_file), 0, LibC.SEEK_END);
        if (start < 0 || end < 0)
        {
            return null;
        }

        ThrowIf(LibC.lseek(Number(_file), start, LibC.SEEK_SET) < 0);
        return end - start;
    }

    private void AwaitBytes(SafeFileHandle wake)
    {
        pollfd* polled = stackalloc pollfd[2];
        polled[0] = new pollfd { fd = Number(_file), events = LibC.POLLIN };
        polled[1] = new pollfd { fd = Number(wake), events = LibC.POLLIN };
        while (LibC.poll(polled, 2, -1) < 0 && LibC.errno == LibC.EINTR)
        {
        }
    }

    private void Wake()
    {
        ulong one = 1;
        _ = LibC.write(Number(_wake!), &one, sizeof(ulong));
    }

    private void ThrowIf(bool failed)
    {
        if (failed)
        {
            throw new StorageException($"cannot read '{Name}': {Marshal.GetPInvokeErrorMessage(LibC.errno)}");
        }
    }
}
