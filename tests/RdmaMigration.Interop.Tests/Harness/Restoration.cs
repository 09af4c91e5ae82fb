namespace RdmaMigration.Interop.Harness;

/// <summary>The proof that a file holds a machine: a second real QEMU starts from it and is compared with the first.</summary>
internal static class Restoration
{
    /// <summary>
    /// Sections that a QEMU saves differently after it has loaded them: the run state that it came with, and IDE's note that IDENTIFY was
    /// answered, which QEMU rebuilds. They are compared with the source's own state all the same.
    /// </summary>
    private static readonly string[] RebuiltByLoading = ["globalstate/0", "/ide/0"];

    /// <summary>
    /// Starts a QEMU from <paramref name="capture"/> and checks that its RAM is that of the (stopped) <paramref name="source"/>, that saving it
    /// again gives the same device state, and that it runs. The device state in the file must also be what the source itself saves now.
    /// </summary>
    public static async Task IsIdenticalAsync(QemuMachine source, string capture, WorkDirectory work)
    {
        await DeviceStateIsTheSourcesAsync(source, capture, work);
        string memory = work.File("restored.ram");
        string savedAgain = work.File("saved-again");
        try
        {
            await using QemuMachine restored = await RestoreAsync(source, capture, memory, work, "restored");
            AssertSame(-1, GuestMemory.FirstDifference(source.Options.MemoryFile, memory), "the restored machine's RAM");

            MigrationOutcome saved = await restored.MigrateAsync($"exec:cat > '{savedAgain}'");
            Assert.Equal("completed", saved.Status);
            AssertSameStream(capture, savedAgain, source.Options.MemoryFile);

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
            File.Delete(savedAgain);
        }
    }

    /// <summary>Starts a QEMU like <paramref name="source"/> from a file.</summary>
    public static async Task<QemuMachine> RestoreAsync(QemuMachine source, string capture, string memory, WorkDirectory work, string name)
    {
        string? boot = source.Options.BootImage;
        if (boot is not null)
        {
            boot = work.File($"{name}.boot");
            File.Copy(source.Options.BootImage!, boot, overwrite: true);
        }

        return await QemuMachine.RestoreAsync(source.Options with { Name = name, MemoryFile = memory, BootImage = boot }, capture);
    }

    private static void AssertSameStream(string capture, string savedAgain, string sourceMemory)
    {
        using MigrationFile first = MigrationFile.Open(capture);
        using MigrationFile second = MigrationFile.Open(savedAgain);
        Assert.Equal(second.MachineType, first.MachineType);
        Assert.Equal(
            second.Blocks.Values.Select(b => (b.Name, b.Length)).Order(), first.Blocks.Values.Select(b => (b.Name, b.Length)).Order());
        AssertSame(-1, first.FirstDifference(RamBlock(first), sourceMemory), "the RAM block in the capture");
        IReadOnlyList<string> differences =
            DeviceSections.Differences(DeviceSections.Split(first.DeviceState), DeviceSections.Split(second.DeviceState));
        Assert.DoesNotContain(differences, d => !RebuiltByLoading.Any(name => d.Contains(name, StringComparison.Ordinal)));
    }

    private static async Task DeviceStateIsTheSourcesAsync(QemuMachine source, string capture, WorkDirectory work)
    {
        string own = work.File("source-devices");
        await source.Monitor.ExecuteAsync("xen-save-devices-state", new { filename = own, live = false });
        using MigrationFile file = MigrationFile.Open(capture);
        byte[] saved = await File.ReadAllBytesAsync(own);
        IReadOnlyList<string> differences = DeviceSections.Differences(
            DeviceSections.Split(saved.AsSpan(MigrationFile.HeaderSize), file.DeviceState), DeviceSections.Split(file.DeviceState));
        // The run state is not the source's any more: it was running or waiting, and is now stopped.
        Assert.DoesNotContain(differences, d => !d.StartsWith("globalstate/0", StringComparison.Ordinal));
        File.Delete(own);
    }

    private static string RamBlock(MigrationFile file) =>
        file.Blocks.Keys.Single(name => name.EndsWith(QemuOptions.RamBlockName, StringComparison.Ordinal));

    private static void AssertSame(long expected, long difference, string what) =>
        Assert.True(difference == expected, $"{what} differs from the source's at offset 0x{difference:x}");
}
