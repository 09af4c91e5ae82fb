using System.Buffers;
using System.IO.MemoryMappedFiles;
using Nerdbank.Streams;
using RdmaMigration.Linux;

namespace RdmaMigration.Streams;

/// <summary>
/// Bytes that are kept as they come. The first ones stay in memory; those beyond a threshold go to an unlinked temporary file, whose mapping the kernel
/// writes out and drops when memory is short. Used by one thread.
/// </summary>
/// <param name="inMemory">The most bytes that stay in memory.</param>
/// <param name="directory">Where the temporary file is made.</param>
internal sealed class KeptBytes(long inMemory, string directory) : IDisposable
{
    private const int SegmentLength = 64 * 1024;

    private readonly Sequence<byte> _bytes = new() { MinimumSpanLength = SegmentLength, AutoIncreaseMinimumSpanLength = false };
    private SpillFile? _file;
    private Memory<byte> _room;

    public long Length { get; private set; }

    /// <summary>Bytes of the temporary file; 0 while there is none.</summary>
    public long Spilled => _file?.Length ?? 0;

    /// <exception cref="IOException">There is no room for the temporary file.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int count = Length < inMemory ? AppendToMemory(bytes) : AppendToFile(bytes);
            Length += count;
            bytes = bytes[count..];
        }
    }

    /// <summary>The bytes [<paramref name="start"/>, <paramref name="end"/>), without copying them. Valid until this is disposed.</summary>
    public ReadOnlySequence<byte> Slice(long start, long end) => _bytes.AsReadOnlySequence.Slice(start, end - start);

    public void Dispose()
    {
        _bytes.Reset();
        _file?.Dispose();
    }

    private int AppendToMemory(ReadOnlySpan<byte> bytes)
    {
        int count = (int)Math.Min(bytes.Length, Math.Min(SegmentLength, inMemory - Length));
        Span<byte> room = _bytes.GetSpan(1);
        count = Math.Min(count, room.Length);
        bytes[..count].CopyTo(room);
        _bytes.Advance(count);
        return count;
    }

    private int AppendToFile(ReadOnlySpan<byte> bytes)
    {
        if (_room.IsEmpty)
        {
            try
            {
                _file ??= new SpillFile(directory);
                _room = _file.Extend();
            }
            catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
            {
                throw new MigrationException(
                    FailureReason.Storage,
                    $"device state beyond {inMemory} bytes goes to a temporary file in '{directory}' (TMPDIR): {failed.Message}",
                    failed);
            }

            _bytes.Append(_room);
        }

        int count = Math.Min(bytes.Length, _room.Length);
        bytes[..count].CopyTo(_room.Span);
        _room = _room[count..];
        return count;
    }

    /// <summary>A temporary file without a name.</summary>
    private sealed class SpillFile : IDisposable
    {
        private const int ExtensionLength = 16 << 20;

        private static readonly byte[] s_zeros = new byte[1 << 20];

        private readonly FileStream _file;
        private readonly List<MappedPart> _parts = [];

        public SpillFile(string directory)
        {
            string path = Path.Combine(directory, $".rdmamig-device-state-{Guid.NewGuid():N}");
            _file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                BufferSize = 0,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
            File.Delete(path);
        }

        public long Length { get; private set; }

        /// <summary>
        /// More of the file, as memory. Written once here: a full disk is an error of this write, and not a signal at the first touch of the memory.
        /// </summary>
        public Memory<byte> Extend()
        {
            for (int done = 0; done < ExtensionLength; done += s_zeros.Length)
            {
                RandomAccess.Write(_file.SafeFileHandle, s_zeros, Length + done);
            }

            MappedPart part = new(_file, Length, ExtensionLength);
            _parts.Add(part);
            Length += ExtensionLength;
            return part.Memory;
        }

        public void Dispose()
        {
            foreach (IDisposable part in _parts)
            {
                part.Dispose();
            }

            _file.Dispose();
        }
    }

    /// <summary>A part of the file, mapped.</summary>
    private sealed unsafe class MappedPart : MemoryManager<byte>
    {
        private readonly MemoryMappedFile _mapping;
        private readonly MemoryMappedViewAccessor _view;
        private readonly byte* _pointer;
        private readonly int _length;

        public MappedPart(FileStream file, long offset, int length)
        {
            _length = length;
            _mapping = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
            _view = _mapping.CreateViewAccessor(offset, length);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _pointer);
            _pointer += _view.PointerOffset;
        }

        public override Span<byte> GetSpan() => new(_pointer, _length);

        public override MemoryHandle Pin(int elementIndex = 0) => new(_pointer + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _mapping.Dispose();
        }
    }
}
