using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Stream;
using RdmaMigration.Transport;
using Tmds.Linux;

namespace RdmaMigration.Engine;

/// <summary>A capture could not be written. The message names the file and what to do.</summary>
public sealed class StorageException : IOException
{
    /// <summary>Creates the exception.</summary>
    public StorageException(string message, Exception? inner = null) : base(message, inner) { }
}

/// <summary>
/// One capture on its way to disk: written aside in the target's directory, then synchronised and renamed, so that nothing half stands under its name.
/// Disposed before that, it leaves nothing. One thread uses it.
/// </summary>
internal sealed unsafe class CaptureFile : IStreamSink, IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly CancellationToken _cancel;
    private string? _partial;

    /// <param name="target">Where the capture will stand.</param>
    /// <param name="cancel">Ends a write between two system calls.</param>
    /// <exception cref="StorageException">No file can be made there.</exception>
    public CaptureFile(CaptureTarget target, CancellationToken cancel)
    {
        _cancel = cancel;
        string directory = target.Directory;
        string partial = Path.Combine(directory, $".rdmamig-{Environment.ProcessId}-{Guid.NewGuid():N}.partial");
        try
        {
            _file = System.IO.File.OpenHandle(partial, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"cannot write to the directory '{directory}': {failed.Message}", failed);
        }

        _partial = partial;
    }

    /// <summary>Bytes written so far. Any thread may read it.</summary>
    public long Written { get; private set; }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* first = bytes)
        {
            IoSegment one = new(first, (nuint)bytes.Length);
            WriteGather(new ReadOnlySpan<IoSegment>(in one));
        }
    }

    public void WriteGather(ReadOnlySpan<IoSegment> segments)
    {
        while (segments.Length > 0)
        {
            nuint written = WriteSome(segments[..Math.Min(segments.Length, GatheredWrite.MostSegments)]);
            int done = 0;
            while (done < segments.Length && written >= segments[done].Length)
            {
                written -= segments[done++].Length;
            }

            segments = segments[done..];
            if (written > 0)
            {
                IoSegment rest = new(segments[0].Address + written, segments[0].Length - written);
                segments = segments[1..];
                WriteGather(new ReadOnlySpan<IoSegment>(in rest));
            }
        }
    }

    /// <summary>Makes the capture durable and gives it its name.</summary>
    /// <param name="target">Where it will stand.</param>
    /// <param name="machine">The machine type, for the name.</param>
    /// <param name="start">When the migration began, for the name.</param>
    /// <param name="peer">The source, for the name.</param>
    /// <param name="decide">Called between the two: the last moment to throw, and leave nothing. Synchronising may take long.</param>
    /// <returns>The name.</returns>
    /// <exception cref="StorageException">It cannot be synchronised or renamed.</exception>
    public string Commit(CaptureTarget target, string? machine, DateTimeOffset start, string peer, Action decide)
    {
        try
        {
            RandomAccess.FlushToDisk(_file);
            decide();
            string name = Rename(target, machine, start, peer);
            using SafeFileHandle directory = OpenDirectory(target.Directory);
            if (LibC.fsync(directory.DangerousGetHandle().ToInt32()) != 0)
            {
                throw new IOException($"fsync of '{target.Directory}': {Marshal.GetPInvokeErrorMessage(LibC.errno)}");
            }

            return name;
        }
        catch (IOException failed) when (failed is not StorageException)
        {
            throw new StorageException($"cannot complete the capture in '{target.Directory}': {failed.Message}", failed);
        }
    }

    public void Dispose()
    {
        _file.Dispose();
        if (_partial is not null)
        {
            System.IO.File.Delete(_partial);
            _partial = null;
        }
    }

    private string Rename(CaptureTarget target, string? machine, DateTimeOffset start, string peer)
    {
        for (int attempt = 0; ; attempt++)
        {
            string name = target.NameFor(machine, start, peer, attempt);
            if (target.File is null && System.IO.File.Exists(name))
            {
                continue;
            }

            System.IO.File.Move(_partial!, name, overwrite: target.File is not null);
            _partial = null;
            return name;
        }
    }

    private nuint WriteSome(ReadOnlySpan<IoSegment> segments)
    {
        fixed (IoSegment* first = segments)
        {
            while (true)
            {
                _cancel.ThrowIfCancellationRequested();
                // An IoSegment is laid out as struct iovec.
                nint written = GatheredWrite.writev(_file.DangerousGetHandle().ToInt32(), (iovec*)first, segments.Length);
                if (written >= 0)
                {
                    Written += written;
                    return (nuint)written;
                }

                int error = LibC.errno;
                if (error != LibC.EINTR)
                {
                    throw new StorageException(
                        $"cannot write the capture to '{Path.GetDirectoryName(_partial)}' after {Written} bytes: {Marshal.GetPInvokeErrorMessage(error)}");
                }
            }
        }
    }

    private static SafeFileHandle OpenDirectory(string path)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(path + '\0');
        fixed (byte* name = bytes)
        {
            int descriptor = LibC.open(name, LibC.O_RDONLY | LibC.O_DIRECTORY | LibC.O_CLOEXEC);
            return descriptor >= 0
                ? new SafeFileHandle(descriptor, ownsHandle: true)
                : throw new IOException($"open '{path}': {Marshal.GetPInvokeErrorMessage(LibC.errno)}");
        }
    }
}
