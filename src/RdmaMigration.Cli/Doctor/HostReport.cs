namespace RdmaMigration.Cli.Doctor;

/// <summary>All checks of one host, in the order in which a person would mend them.</summary>
internal sealed record HostReport(IReadOnlyList<HostCheck> Checks, IReadOnlyList<DeviceView> Devices)
{
    /// <summary>Nothing is missing; warnings do not count.</summary>
    public bool MigrationPossible => Checks.All(check => check.Status != CheckStatus.Missing);

    public static HostReport Examine(
        HostTree tree, VerbsView verbs, Func<string, bool> load, ulong availableRam, ulong? memlockLimit, ulong? maxRam) =>
        new(
        [
            .. KernelChecks.Run(tree),
            .. LibraryChecks.Run(tree, load, verbs),
            .. DeviceChecks.Run(tree, verbs),
            .. MemoryChecks.Run(tree, availableRam, memlockLimit, maxRam),
        ], verbs.Devices);
}
