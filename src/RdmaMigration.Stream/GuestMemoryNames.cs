using System.Text.RegularExpressions;

namespace RdmaMigration.Streams;

/// <summary>What the name of a RAM block tells.</summary>
internal static partial class GuestMemoryNames
{
    /// <summary>
    /// True for video memory, ROMs and firmware: no memory backend is behind them, which a user could share or have the guest report free. A PCI address before
    /// the name shows nothing: a backend that a device uses has one too ("0000:00:04.0/vmem").
    /// </summary>
    public static bool IsOwnedByDevice(string block) => OfDevice().IsMatch(block);

    [GeneratedRegex(@"^/rom@|\.(bios|rom|vrom|vram|vgavram|flash[0-9]*)$", RegexOptions.CultureInvariant)]
    private static partial Regex OfDevice();
}
