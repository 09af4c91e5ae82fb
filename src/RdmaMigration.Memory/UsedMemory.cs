using RdmaMigration.Linux;

namespace RdmaMigration.Memory;

/// <summary>
/// The parts of a block that have memory, in pieces of 2 MiB, which is what one page of page tables maps, or of a larger huge page. The kernel makes page
/// tables for all memory that is protected, holes too: 2 GiB for a block of 1 TiB. So only pieces that have memory are protected, and a piece that gets its
/// first memory was written. A piece counts as used from then on, so finding new ones costs what is unused and fragmented, not what is used.
/// </summary>
internal sealed class UsedMemory
{
    private const ulong PageTablePages = 512;
    private readonly RamBlock _block;
    private readonly ulong _piecePages;
    private readonly PageBitmap _pieces;

    /// <param name="block">The block.</param>
    public UsedMemory(RamBlock block)
    {
        _block = block;
        _piecePages = Math.Max(PageTablePages, block.PageSize / RamBlock.LengthUnit);
        _pieces = new PageBitmap((BlockPages + _piecePages - 1) / _piecePages);
    }

    private ulong BlockPages => _block.Length / RamBlock.LengthUnit;

    /// <summary>Forgets everything.</summary>
    public void Clear() => _pieces.ClearAll();

    /// <summary>Finds the next run of pages in used pieces.</summary>
    /// <returns>False when there is none from the page on.</returns>
    public bool TryNext(ulong from, out ulong start, out ulong end)
    {
        bool isFound = _pieces.TryNext((from + _piecePages - 1) / _piecePages, out ulong first, out ulong last);
        start = first * _piecePages;
        end = Math.Min(last * _piecePages, BlockPages);
        return isFound;
    }

    /// <summary>Finds the next piece that has got memory since the last look, and counts it as used.</summary>
    /// <param name="from">The page to start at: 0, then the end of the piece before.</param>
    /// <param name="start">The piece's first page.</param>
    /// <param name="end">The page after its last.</param>
    /// <returns>False when there is none from the page on.</returns>
    /// <exception cref="RamAccessException">The kernel could not answer.</exception>
    public bool TryNextNew(ulong from, out ulong start, out ulong end)
    {
        start = end = 0;
        for (ulong piece = from / _piecePages; _pieces.TryNextClear(piece, _pieces.Pages, out ulong first, out ulong last); piece = last)
        {
            ulong offset = first * _piecePages * RamBlock.LengthUnit;
            CallResult data = Descriptor.SeekData(_block.FileDescriptor, (long)offset);
            if (data.Failed && data.Error != Errno.ENXIO)
            {
                throw new RamAccessException(_block.Name, $"its memory from 0x{offset:x} on cannot be found", "lseek", data.Error);
            }

            ulong found = data.Failed ? _pieces.Pages : (ulong)data.Value / RamBlock.LengthUnit / _piecePages;
            if (found < last)
            {
                _pieces.Set(found, 1);
                start = found * _piecePages;
                end = Math.Min(start + _piecePages, BlockPages);
                return true;
            }
        }

        return false;
    }

    /// <summary>Adds the pages of a run that have memory.</summary>
    /// <returns>Pages added.</returns>
    /// <exception cref="RamAccessException">The kernel could not answer.</exception>
    public ulong AddData(ulong start, ulong end, PageBitmap into)
    {
        ulong pages = 0;
        foreach (RamExtent extent in _block.ExtentsOf(start * RamBlock.LengthUnit, (end - start) * RamBlock.LengthUnit))
        {
            if (extent.IsData)
            {
                into.Set(extent.Offset / RamBlock.LengthUnit, extent.Length / RamBlock.LengthUnit);
                pages += extent.Length / RamBlock.LengthUnit;
            }
        }

        return pages;
    }
}
