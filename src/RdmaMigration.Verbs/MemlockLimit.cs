using RdmaMigration.Linux;

namespace RdmaMigration.Verbs;

/// <summary>How much memory this process may lock, which registered memory is.</summary>
internal static class MemlockLimit
{
    /// <summary>What to do when <paramref name="length"/> bytes could not be registered for want of memory.</summary>
    internal static string Advise(ulong length) => Advise(length, ResourceLimits.LockedMemory);

    internal static string Advise(ulong length, ulong? limit) => limit is null
        ? $"The memlock limit is unlimited, so the device or the host ran out of memory: {Size(length)} are needed."
        : $"Registered memory is locked: the memlock limit is {Size(limit.Value)} for all of it together, this needs {Size(length)}. "
            + "Raise it: LimitMEMLOCK=infinity in the systemd unit, `ulimit -l unlimited`, or memlock in /etc/security/limits.d.";

    internal static string Size(ulong bytes) =>
        bytes >= 16 << 20 ? $"{bytes >> 20} MiB" : bytes >= 1024 ? $"{bytes >> 10} KiB" : $"{bytes} bytes";
}
