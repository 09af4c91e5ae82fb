using RdmaMigration.Streams;

namespace RdmaMigration.Engine;

/// <summary>
/// A machine that stays in memory after its migration. It does not run. It can be sent any number of times, which changes no byte of it. Disposed while no
/// migration uses it.
/// </summary>
/// <param name="content">The machine. Owned, and with it the RAM blocks.</param>
internal sealed class KeptMachine(CapturedStream content) : IDisposable
{
    /// <summary>The machine as it is sent.</summary>
    public CapturedStream Content => content;

    /// <summary>The machine type; null when the stream has named none. Any thread, also after the end.</summary>
    public string? Type { get; } = content.Configuration.MachineType;

    /// <summary>The run state that it had at its source, by QEMU's name; null when the stream has none. Any thread, also after the end.</summary>
    public string? RunState { get; } = content.RunState;

    /// <summary>Bytes of RAM. Any thread, also after the end.</summary>
    public ulong RamLength { get; } = content.RamLength;

    public void Dispose()
    {
        content.RamBlocks.Dispose();
        content.Dispose();
    }
}
