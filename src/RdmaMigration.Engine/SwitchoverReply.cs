using System.Globalization;

namespace RdmaMigration.Engine;

/// <summary>When a source that opens a return path gets SWITCHOVER_ACK.</summary>
internal enum SwitchoverReply
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>When it opens the return path.</summary>
    AtOnce,

    /// <summary>When it shows that it waits: it repeats passes over RAM.</summary>
    WhenTheSourceWaits,
}

/// <summary>
/// Decides how a source with capability switchover-ack is answered. The stream does not say whether the capability is on, and QEMU treats the message in three
/// ways:
/// <list type="bullet">
/// <item>QEMU 8.0 and older fails the migration: to it the message has an unknown type.</item>
/// <item>QEMU 8.1 and newer ignores it when the capability is off. With the capability on it needs one, when the machine type is 11.0 or older.</item>
/// <item>With machine type 11.1 or newer only a device asks for one. An acknowledgement that nobody asked for keeps the source from ever switching over.</item>
/// </list>
/// A machine type that tells neither the version of the source nor the rule is answered when the source waits. A source that knows no switchover-ack never
/// waits.
/// </summary>
internal static class SwitchoverReplies
{
    /// <summary>Machine types older than this may come from a QEMU that does not know the message.</summary>
    private static readonly Version s_known = new(8, 1);

    /// <summary>From this machine type on, only a device asks.</summary>
    private static readonly Version s_onlyDevices = new(11, 1);

    /// <summary>The families of machine types that QEMU gives its own versions.</summary>
    private static readonly string[] s_versioned = ["pc-i440fx", "pc-q35", "virt", "pseries", "s390-ccw-virtio"];

    /// <summary>The reply to a source.</summary>
    /// <param name="setting">The parameter switchover-ack.</param>
    /// <param name="machineType">The machine type in the stream; null when the stream has none.</param>
    public static SwitchoverReply For(SwitchoverAck setting, string? machineType) => setting switch
    {
        SwitchoverAck.Always => SwitchoverReply.AtOnce,
        SwitchoverAck.Never => SwitchoverReply.Never,
        _ => VersionOf(machineType) switch
        {
            { } version when version >= s_onlyDevices => SwitchoverReply.Never,
            { } version when version >= s_known => SwitchoverReply.AtOnce,
            _ => SwitchoverReply.WhenTheSourceWaits,
        },
    };

    private static Version? VersionOf(string? machineType)
    {
        int dash = machineType?.LastIndexOf('-') ?? -1;
        if (dash < 0 || !s_versioned.Contains(machineType![..dash]))
        {
            return null;
        }

        // Not Version.Parse, which takes signs and blanks.
        string[] parts = machineType[(dash + 1)..].Split('.');
        return parts.Length is 2 or 3
            && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int minor)
            ? new Version(major, minor)
            : null;
    }
}
