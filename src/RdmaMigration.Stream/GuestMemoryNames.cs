using System.Text.RegularExpressions;

namespace RdmaMigration.Streams;

/// <summary>What the name of a RAM block tells.</summary>
internal static partial class GuestMemoryNames
{
    /// <summary>
    /// True for memory of a device (its path stands before the name) and for firmware: no memory backend is behind it, which a user could share, plug in
    /// part, or have the guest report free.
    /// </summary>
    public static bool IsOwnedByDevice(string block) => OfDevice().IsMatch(block);

    [GeneratedRegex(@"^(/rom@|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/)|\.(bios|rom|vram|flash[0-9]*)$", RegexOptions.CultureInvariant)]
    private static partial Regex OfDevice();
}
