using RdmaMigration.Memory;

namespace RdmaMigration.Machines;

/// <summary>
/// One block of a machine's RAM. The program works in it by pointer or span, without any call for what it writes: the machine sees by itself which pages
/// change. The members may be used from any thread; the bytes are not synchronised. The machine owns the memory.
/// </summary>
public sealed unsafe class MachineRam
{
    internal MachineRam(RamBlock block) => Block = block;

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
}
