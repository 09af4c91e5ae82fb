using System.Runtime.InteropServices;
using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// The registered buffers of one connection, each as large as the largest control message (PROTOCOL.md, Connections). The receive buffers turn: one is being
/// read while the others are posted, so a peer that sends ERROR without a credit finds a receive.
/// </summary>
internal sealed unsafe class ControlBuffers : IDisposable
{
    public const int ReceiveCount = 3;

    private const int SendIndex = ReceiveCount;
    private const nuint TotalSize = (ReceiveCount + 1) * ControlHeader.MaxMessage;

    /// <summary>The kernel backs what is so large and so aligned with one page, if it has one: connecting need not wait for 512 of them.</summary>
    private const nuint HugePage = 2 << 20;

    private byte* _memory = (byte*)NativeMemory.AlignedAlloc(TotalSize, HugePage);
    private MemoryRegion? _region;

    public uint LocalKey => _region!.LocalKey;

    public Span<byte> SendBuffer => new(_memory + (SendIndex * ControlHeader.MaxMessage), ControlHeader.MaxMessage);

    public nint SendAddress => (nint)(_memory + (SendIndex * ControlHeader.MaxMessage));

    public nint ReceiveAddress(int index) => (nint)(_memory + (index * ControlHeader.MaxMessage));

    /// <summary>Registers them; before that they cannot be used. It takes some milliseconds where the kernel is slow to clear memory.</summary>
    /// <exception cref="VerbsException">The memory cannot be registered.</exception>
    public void Register(ProtectionDomain domain)
    {
        // Advice that is not taken costs time, not more.
        _ = MemoryFile.PreferHugePages(_memory, TotalSize);
        _region = domain.Register((nint)_memory, TotalSize, MemoryAccess.LocalWrite);
    }

    public ReadOnlySpan<byte> Received(int index, int length) => new(_memory + (index * ControlHeader.MaxMessage), length);

    public void Dispose()
    {
        _region?.Dispose();
        NativeMemory.AlignedFree(_memory);
        _memory = null;
    }
}
