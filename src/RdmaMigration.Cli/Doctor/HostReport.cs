namespace RdmaMigration.Cli.Doctor;

/// <summary>All checks of one host, in the order in which a person would fix them.</summary>
internal sealed record HostReport(IReadOnlyList<HostCheck> Checks, IReadOnlyList<DeviceView> Devices)
{
    /// <summary>Nothing is missing, and one device is usable. Warnings do not count.</summary>
    public bool MigrationPossible => Checks.All(check => check.Status != CheckStatus.Missing);

    public static HostReport Examine(
        HostTree tree, VerbsView verbs, Func<string, bool> load, ulong availableRam, ProcessLimits limits, ulong? maxRam) =>
        new(
        [
            .. KernelChecks.Run(tree),
            .. LibraryChecks.Run(tree, load, verbs),
            .. DeviceChecks.Run(tree, verbs),
            .. MemoryChecks.Run(tree, availableRam, limits, maxRam),
        ], verbs.Devices);
}

/// <summary>Limits of this process in bytes; null where there is none.</summary>
/// <param name="Memlock">RLIMIT_MEMLOCK.</param>
/// <param name="FileSize">RLIMIT_FSIZE.</param>
internal sealed record ProcessLimits(ulong? Memlock, ulong? FileSize);
