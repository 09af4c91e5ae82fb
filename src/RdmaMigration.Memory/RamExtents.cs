using System.ComponentModel;
using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// The data runs and holes of a range of a RAM block, in order and without gaps. Enumerating asks the kernel (SEEK_DATA, SEEK_HOLE) and does not
/// allocate.
/// </summary>
internal readonly struct RamExtents
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
        /// <summary>
        /// SEEK_HOLE looks at every page up to the next hole, which takes a millisecond for each 256 MiB of data, however short the range is. In a range up to
        /// this length SEEK_DATA is asked at each page.
        /// </summary>
        private const ulong ShortRange = 1 << 20;

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
        /// <exception cref="RamAccessException">The kernel could not answer.</exception>
        public bool MoveNext()
        {
            if (_position >= _end)
            {
                return false;
            }

            ulong data = Clip(Descriptor.SeekData(_block.FileDescriptor, (long)_position));
            ulong end = data > _position ? data : EndOfData();
            Current = new RamExtent(_position, end - _position, data == _position);
            _position = end;
            return true;
        }

        private readonly ulong EndOfData()
        {
            if (_end - _position > ShortRange)
            {
                return Clip(Descriptor.SeekHole(_block.FileDescriptor, (long)_position));
            }

            ulong at = _position;
            do
            {
                at = Math.Min(at - (at % RamBlock.LengthUnit) + RamBlock.LengthUnit, _end);
            }
            while (at < _end && Clip(Descriptor.SeekData(_block.FileDescriptor, (long)at)) == at);
            return at;
        }

        /// <summary>The position that the kernel found, within the range. ENXIO: nothing more up to the end of the block.</summary>
        private readonly ulong Clip(CallResult found) => found.Error switch
        {
            Errno.None => Math.Min((ulong)found.Value, _end),
            Errno.ENXIO => _end,
            _ => throw new RamAccessException(_block.Name, $"its memory from 0x{_position:x} on cannot be found", "lseek", found.Error),
        };
    }
}
