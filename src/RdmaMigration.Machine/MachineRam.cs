using RdmaMigration.Memory;

namespace RdmaMigration.Machines;

/// <summary>
/// One block of a machine's RAM. The program works in it by pointer or span, without any call for what it writes: the machine sees by itself which pages
/// change, unless the program chose to mark them (<see cref="MachineOptions.Tracking"/>). The members may be used from any thread; the bytes are not
/// synchronised. The machine owns the memory.
/// </summary>
public sealed unsafe class MachineRam
{
    private readonly PageMarks _marks;
    private readonly int _index;

    /// <param name="block">The memory.</param>
    /// <param name="marks">Takes the marks of all blocks of the machine.</param>
    /// <param name="index">The block's place among them.</param>
    internal MachineRam(RamBlock block, PageMarks marks, int index)
    {
        Block = block;
        _marks = marks;
        _index = index;
    }

    /// <summary>The size of a page in bytes: what is tracked and sent as one.</summary>
    public const int PageSize = (int)RamBlock.LengthUnit;

    /// <summary>The name, the same at the source and at the destination.</summary>
    public string Name => Block.Name;

    /// <summary>Bytes in the block: a positive multiple of <see cref="PageSize"/>.</summary>
    public ulong Length => Block.Length;

    /// <summary>The first byte. It is valid until the machine is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The machine is disposed.</exception>
    public byte* Pointer => Block.Pointer;

    internal RamBlock Block { get; }

    /// <summary>
    /// Bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="length"/>). The span is valid until the machine is disposed.
    /// </summary>
    /// <param name="offset">Bytes from the start of the block.</param>
    /// <param name="length">Bytes, 0 or more.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    /// <exception cref="ObjectDisposedException">The machine is disposed.</exception>
    public Span<byte> Slice(ulong offset, int length) => Block.Slice(offset, length);

    /// <summary>
    /// Marks a range as written, in a machine that was created with <see cref="PageTracking.Explicit"/>; in any other it does nothing. Call it after the write
    /// and before <see cref="IMachineProgram.Stop"/> returns: a page that is marked first may be sent before it is written. It does not allocate or block, and
    /// costs little while the machine does not move.
    /// </summary>
    /// <param name="offset">Bytes from the start of the block.</param>
    /// <param name="length">Bytes, 0 or more. Each page that has one of them is marked.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the block.</exception>
    public void MarkDirty(ulong offset, ulong length)
    {
        if (offset > Length || length > Length - offset)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offset), $"RAM block '{Name}': bytes 0x{offset:x} + 0x{length:x} are outside its 0x{Length:x}");
        }

        _marks.MarkDirty(_index, offset, length);
    }
}
