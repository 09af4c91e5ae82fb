namespace RdmaMigration.Testing;

/// <summary>All that a receiver holds between two migrations: what must be the same after the hundredth as after the tenth.</summary>
public sealed record Holdings(ProcessFootprint Process, VerbsObjects Verbs, long ResidentBytes)
{
    public static async Task<Holdings> OfAsync(int pid) =>
        new(ProcessFootprint.Of(pid), await VerbsObjects.OfAsync(pid), ProcessFootprint.Bytes(pid, "VmRSS"));

    /// <summary>
    /// Reads until verbs objects, files and threads are those of <paramref name="before"/>: a receiver says RESULT while its last connection is
    /// still being closed. After the deadline it returns what it sees, for the assertions to name.
    /// </summary>
    public static async Task<Holdings> SettledAsync(int pid, Holdings before)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        while (true)
        {
            Holdings now = await OfAsync(pid);
            bool settled = now.Verbs == before.Verbs && now.Process.Files == before.Process.Files && now.Process.RamMappings == 0
                && now.Process.MigrationThreads == before.Process.MigrationThreads;
            if (settled || deadline.IsCancellationRequested)
            {
                return now;
            }
        }
    }
}
