namespace RdmaMigration.Testing;

/// <summary>What a process has open, without the assemblies, which the runtime opens as it needs them.</summary>
public static class OpenFiles
{
    /// <summary>How many of each kind or name, in order.</summary>
    public static string[] Of(int pid) =>
        [.. Names(pid).GroupBy(name => name.Split(':')[0]).Select(kind => $"{kind.Key}: {kind.Count()}").Order(StringComparer.Ordinal)];

    /// <summary>One for each descriptor. A descriptor that is closed meanwhile, as that of the listing itself, has none.</summary>
    public static IEnumerable<string> Names(int pid) =>
        Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd").Select(file => new FileInfo(file).LinkTarget).OfType<string>()
            .Where(name => !name.EndsWith(".dll", StringComparison.Ordinal) && !name.EndsWith("/fd", StringComparison.Ordinal));
}
