using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>The proof that a file holds a machine: a second real QEMU starts from it and is compared with the first.</summary>
internal static class Restoration
{
    // The run state that a machine came with differs from the one it has now: it was running or waiting, and is stopped.
    private const string RunState = "globalstate/0";

    // IDE's note that IDENTIFY was answered, which QEMU rebuilds on loading.
    private const string Identified = "/ide/0";

    /// <summary>
    /// Checks that <paramref name="capture"/> holds the (stopped) <paramref name="source"/>: its device state is what the source itself saves,
    /// a QEMU that starts from it has the same RAM and saves the same device state, and it runs.
    /// </summary>
    /// <param name="source">The machine that was captured.</param>
    /// <param name="capture">The file.</param>
    /// <param name="work">For memory and device state.</param>
    /// <param name="start">How the second machine gets the capture; null: it reads the file.</param>
    public static async Task IsIdenticalAsync(QemuMachine source, string capture, WorkDirectory work, Func<QemuOptions, Task<QemuMachine>>? start = null)
    {
        byte[] captured = DeviceStateOf(capture, source.Options.MemoryFile);
        Assert.Empty(await DifferencesAsync(source, captured, work, RunState));

        string memory = work.File("restored.ram");
        try
        {
            await using QemuMachine restored = await StartLikeAsync(
                source, memory, work, "restored", start ?? (options => QemuMachine.RestoreAsync(options, capture)));
            AssertSame(GuestMemory.FirstDifference(source.Options.MemoryFile, memory), "the restored machine's RAM");
            Assert.Empty(await DifferencesAsync(restored, captured, work, RunState, Identified));

            await restored.ContinueAsync();
            Assert.Equal("running", await restored.RunStateAsync());
            if (source.Options.BootImage is not null)
            {
                await restored.GuestWritesAsync();
            }
        }
        finally
        {
            File.Delete(memory);
        }
    }

    /// <summary>
    /// Checks that a second machine is the (stopped) first, without a file of ours to compare with: the same RAM, the device state that the second one's QEMU
    /// writes out is what the first one's saves, and it runs.
    /// </summary>
    public static async Task HasArrivedAsync(QemuMachine source, QemuMachine arrived, WorkDirectory work)
    {
        AssertSame(GuestMemory.FirstDifference(source.Options.MemoryFile, arrived.Options.MemoryFile), "the RAM that arrived");
        string onward = work.File("onward");
        Assert.Equal("completed", (await arrived.MigrateAsync($"exec:cat > '{onward}'")).Status);
        Assert.Empty(await DifferencesAsync(source, DeviceStateOf(onward, arrived.Options.MemoryFile), work, RunState, Identified));
        await arrived.ContinueAsync();
        Assert.Equal("running", await arrived.RunStateAsync());
    }

    /// <summary>
    /// Checks that two captures hold the same machine: the same RAM blocks, page by page, and the same device sections. What a machine notes of its own past
    /// is left aside.
    /// </summary>
    public static void AreTheSame(string first, string second)
    {
        using MigrationFile one = MigrationFile.Open(first);
        using MigrationFile other = MigrationFile.Open(second);
        Assert.Equal(one.MachineType, other.MachineType);
        Assert.Equal(one.Blocks.Values.Select(b => (b.Name, b.Length)).Order(), other.Blocks.Values.Select(b => (b.Name, b.Length)).Order());
        foreach (string block in one.Blocks.Keys)
        {
            AssertSame(one.FirstDifference(block, other), $"block '{block}' of the second file");
        }

        IReadOnlyList<string> differences = DeviceSections.Differences(DeviceSections.Split(one.DeviceState), DeviceSections.Split(other.DeviceState));
        Assert.DoesNotContain(differences, d => !d.Contains(RunState, StringComparison.Ordinal) && !d.Contains(Identified, StringComparison.Ordinal));
    }

    /// <summary>Starts a QEMU like <paramref name="source"/> from a file.</summary>
    public static Task<QemuMachine> RestoreAsync(QemuMachine source, string capture, string memory, WorkDirectory work, string name) =>
        StartLikeAsync(source, memory, work, name, options => QemuMachine.RestoreAsync(options, capture));

    /// <summary>Starts a QEMU like <paramref name="source"/>, with its own memory and disk.</summary>
    public static async Task<QemuMachine> StartLikeAsync(
        QemuMachine source, string memory, WorkDirectory work, string name, Func<QemuOptions, Task<QemuMachine>> start)
    {
        string? boot = source.Options.BootImage;
        if (boot is not null)
        {
            boot = work.File($"{name}.boot");
            File.Copy(source.Options.BootImage!, boot, overwrite: true);
        }

        return await start(source.Options with { Name = name, MemoryFile = memory, BootImage = boot });
    }

    private static byte[] DeviceStateOf(string capture, string sourceMemory)
    {
        using MigrationFile file = MigrationFile.Open(capture);
        string ram = file.Blocks.Keys.Single(name => name.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));
        AssertSame(file.FirstDifference(ram, sourceMemory), "the RAM block in the file");
        return file.DeviceState;
    }

    private static async Task<IReadOnlyList<string>> DifferencesAsync(
        QemuMachine stopped, byte[] captured, WorkDirectory work, params string[] except)
    {
        string saved = work.File($"{stopped.Options.Name}.devices");
        await stopped.Monitor.ExecuteAsync("xen-save-devices-state", new { filename = saved, live = false });
        byte[] state = await File.ReadAllBytesAsync(saved);
        File.Delete(saved);
        IReadOnlyList<string> differences = DeviceSections.Differences(
            DeviceSections.Split(captured), DeviceSections.Split(state.AsSpan(MigrationFile.HeaderSize), captured));
        return [.. differences.Where(d => !except.Any(name => d.Contains(name, StringComparison.Ordinal)))];
    }

    private static void AssertSame(long difference, string what) =>
        Assert.True(difference == -1, $"{what} differs from the source's at offset 0x{difference:x}");
}
