using Microsoft.Extensions.Logging;

namespace RdmaMigration.Machines;

/// <summary>What a machine is created with.</summary>
public sealed record MachineOptions
{
    /// <summary>
    /// The kind of the machine, as the stream names it: 1 to 255 printable ASCII characters, such as <c>shop-1</c>. A machine moves only between processes that
    /// use the same name, so it changes with RAM blocks and devices that do not fit each other any more.
    /// </summary>
    public required string Name { get; init; }

    /// <summary>
    /// How the pages that the program writes are found; null for the best kind that works here and needs no help of the program. With
    /// <see cref="PageTracking.Explicit"/>, which works everywhere, the program calls <see cref="MachineRam.MarkDirty"/> after each write. A kind that does not
    /// work here fails each migration from here.
    /// </summary>
    public PageTracking? Tracking { get; init; }

    /// <summary>Takes the machine's logs; null for none. The caller disposes it after the machine.</summary>
    public ILoggerFactory? Log { get; init; }
}
