namespace RdmaMigration.Testing;

/// <summary>A machine as a file.</summary>
public static class SavedMachine
{
    /// <summary>Saves a paused machine of random memory with the host's own QEMU.</summary>
    public static async Task SaveAsync(string capture, string ram, int mebibytes, ulong seed)
    {
        GuestMemory.Fill(ram, mebibytes, seed, halfZero: false);
        await using QemuMachine source = await QemuMachine.StartAsync(new QemuOptions("source", "pc", mebibytes) { MemoryFile = ram });
        MigrationOutcome outcome = await source.MigrateAsync($"exec:cat > '{capture}'");
        if (outcome.Status != "completed")
        {
            throw new InvalidOperationException($"QEMU could not save the machine: {outcome}");
        }
    }
}
