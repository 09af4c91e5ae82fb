using System.ComponentModel;
using Tmds.Linux;

namespace RdmaMigration.Memory;

/// <summary>The data runs and holes of a range of a RAM block, in order and without gaps. Enumerating asks the kernel (SEEK_DATA, SEEK_HOLE) and does not allocate.</summary>
public readonly struct RamExtents
{
    private readonly RamBlock _block;
    private readonly ulong _start;
    private readonly ulong _end;

    internal RamExtents(RamBlock block, ulong start, ulong end)
    {
        _block = block;
        _start = start;
        _end = end;
    }

    /// <summary>Starts the enumeration.</summary>
    public Enumerator GetEnumerator() => new(_block, _start, _end);

    /// <summary>Walks the runs. The block must not be disposed meanwhile.</summary>
    [EditorBrowsable(EditorBrowsableState.Never)]
    public struct Enumerator
    {
        private const int SEEK_DATA = 3;
        private const int SEEK_HOLE = 4;

        private readonly RamBlock _block;
        private readonly ulong _end;
        private ulong _position;

        internal Enumerator(RamBlock block, ulong start, ulong end)
        {
            _block = block;
            _position = start;
            _end = end;
        }

        /// <summary>The current run.</summary>
        public RamExtent Current { get; private set; }

        /// <summary>Steps to the next run; false at the end of the range.</summary>
        /// <exception cref="IOException">The kernel could not answer.</exception>
        public bool MoveNext()
        {
            if (_position >= _end)
            {
                return false;
            }

            ulong data = Seek(SEEK_DATA);
            ulong end = data > _position ? data : Seek(SEEK_HOLE);
            Current = new RamExtent(_position, end - _position, data == _position);
            _position = end;
            return true;
        }

        /// <summary>The next data or hole from the current position on, clipped to the range.</summary>
        private readonly ulong Seek(int whence)
        {
            long found = LibC.lseek(_block.FileDescriptor, (long)_position, whence);
            if (found >= 0)
            {
                return Math.Min((ulong)found, _end);
            }

            int errno = LibC.errno;
            return errno == LibC.ENXIO
                ? _end
                : throw new IOException($"RAM block '{_block.Name}': lseek at 0x{_position:x}: {LibCError.Describe(errno)}");
        }
    }
}
