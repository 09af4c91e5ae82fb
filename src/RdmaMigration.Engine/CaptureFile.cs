using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;
using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>A capture could not be written. The message names the file and what to do.</summary>
internal sealed class StorageException : MigrationException
{
    /// <summary>Creates the exception.</summary>
    public StorageException(string message, Exception? inner = null) : base(FailureReason.Storage, message, inner) { }
}

/// <summary>
/// One capture on its way to disk: written aside in the target's directory, then synchronised and renamed, so that nothing half stands under its name.
/// Disposed before it is complete, it leaves nothing. One thread uses it.
/// </summary>
internal sealed unsafe class CaptureFile : IStreamSink, IDisposable
{
    /// <summary>Guest memory is its owner's business: rw-------, as QEMU has it.</summary>
    private const UnixFileMode CreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly FileStream _file;
    private readonly SafeFileHandle _handle;
    private readonly Action<string> _leftBehind;
    private string? _partial;

    /// <param name="target">Where the capture will stand.</param>
    /// <param name="leftBehind">Called by <see cref="Dispose"/> with what it could not clean up, in words.</param>
    /// <exception cref="StorageException">No file can be made there, or what stands under its name cannot be replaced.</exception>
    public CaptureFile(CaptureTarget target, Action<string> leftBehind)
    {
        _leftBehind = leftBehind;
        ThrowIfNotReplaceable(target);

        // Not a Guid: it takes /dev/urandom, which a bare chroot does not have.
        string partial = Path.Combine(target.Directory, $".rdmamig-{Environment.ProcessId}-{Random.Shared.NextInt64():x16}.partial");
        try
        {
            // Shared, since a lock of its own would be one more thing that a network file system refuses.
            _file = new FileStream(partial, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                Share = FileShare.ReadWrite | FileShare.Delete,
                BufferSize = 0,
                UnixCreateMode = CreateMode,
            });

            // Asked for once: each time it would move the file's position back to where the stream believes it to be.
            _handle = _file.SafeFileHandle;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"cannot write to the directory '{target.Directory}': {failed.Message}", failed);
        }

        _partial = partial;
    }

    /// <summary>Ends a write between two system calls. None unless set.</summary>
    public CancellationToken Cancellation { get; set; }

    /// <summary>Bytes written so far. Any thread may read it.</summary>
    public long Written { get; private set; }

    /// <summary>Where the capture stands complete: under its name, or aside when that could not be given. From then on it stays. Any thread.</summary>
    public string? StandsAt { get; private set; }

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
            nuint written = WriteSome(segments[..Math.Min(segments.Length, Descriptor.MostVectors)]);
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
    /// <exception cref="StorageException">It cannot be synchronised, or it stays where <see cref="StandsAt"/> says since it cannot get its name.</exception>
    public void Commit(CaptureTarget target, string? machine, DateTimeOffset start, string peer, Action decide)
    {
        try
        {
            RandomAccess.FlushToDisk(_handle);
            decide();
            Rename(target, machine, start, peer);

            // The BCL opens no directory.
            using SafeFileHandle directory = new(Descriptor.Open(target.Directory, OpenModes.Read).OrThrow("open"), ownsHandle: true);
            _ = Descriptor.Sync((int)directory.DangerousGetHandle()).OrThrow("fsync");
        }
        catch (IOException failed) when (failed is not StorageException)
        {
            throw new StorageException($"cannot complete the capture in '{target.Directory}': {failed.Message}", failed);
        }
    }

    /// <summary>Closes the file, and removes it unless it is complete.</summary>
    public void Dispose()
    {
        _file.Dispose();
        if (_partial is not { } partial)
        {
            return;
        }

        _partial = null;
        try
        {
            File.Delete(partial);
        }
        catch (DirectoryNotFoundException)
        {
            // It went with its directory.
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            _leftBehind($"the partial capture '{partial}' could not be removed: {failed.Message}");
        }
    }

    private static void ThrowIfNotReplaceable(CaptureTarget target)
    {
        if (target.WhyNotReplaceable() is { } reason)
        {
            throw new StorageException(reason);
        }
    }

    /// <summary>From here on the capture is not removed any more, whatever happens: its source may have let the machine go.</summary>
    private void Rename(CaptureTarget target, string? machine, DateTimeOffset start, string peer)
    {
        string partial = _partial!;
        _partial = null;
        StandsAt = partial;
        try
        {
            ThrowIfNotReplaceable(target);
            string name = target.NameFor(machine, start, peer, 0);
            for (int attempt = 1; target.File is null && Path.Exists(name); attempt++)
            {
                name = target.NameFor(machine, start, peer, attempt);
            }

            File.Move(partial, name, overwrite: target.File is not null);
            StandsAt = name;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"the capture is complete in '{partial}', but renaming it failed: {failed.Message}", failed);
        }
    }

    private nuint WriteSome(ReadOnlySpan<IoSegment> segments)
    {
        while (true)
        {
            Cancellation.ThrowIfCancellationRequested();

            // An IoSegment has the layout of an IoVector: both are struct iovec.
            CallResult written = Descriptor.WriteGathered(
                (int)_handle.DangerousGetHandle(), MemoryMarshal.Cast<IoSegment, IoVector>(segments));
            if (!written.Failed)
            {
                Written += written.Value;
                return (nuint)written.Value;
            }

            if (written.Error != Errno.EINTR)
            {
                throw new StorageException(
                    $"cannot write the capture to '{Path.GetDirectoryName(_partial)}' after {Written} bytes: {written.Error.Text()}{Advice(written.Error)}");
            }
        }
    }

    private static string Advice(Errno error) => error switch
    {
        Errno.EFBIG => "; raise the limit of a file's size (ulimit -f), or choose a file system for larger files",
        Errno.ENOSPC or Errno.EDQUOT => "; free some space, or choose another target",
        _ => "",
    };
}
