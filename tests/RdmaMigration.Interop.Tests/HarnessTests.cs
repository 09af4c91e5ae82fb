using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>The harness proves itself on QEMU alone, without RDMA: what it calls identical is identical, what differs it finds.</summary>
public sealed class HarnessTests : IDisposable
{
    private readonly WorkDirectory _work = new();

    [Theory]
    [InlineData("pc")]
    [InlineData("q35")]
    public async Task A_machine_that_QEMU_saves_to_a_file_restores_identical_and_runs(string machineType)
    {
        QemuOptions source = Machine("source", machineType, 64);
        GuestMemory.Fill(source.MemoryFile, 64, seed: 1, halfZero: true);
        await using QemuMachine saved = await QemuMachine.StartAsync(source);
        string file = _work.File("stream");

        MigrationOutcome outcome = await saved.MigrateAsync($"exec:cat > '{file}'");

        Assert.Equal("completed", outcome.Status);
        Assert.True(outcome.TotalTime > TimeSpan.Zero);
        await Restoration.IsIdenticalAsync(saved, file, _work);
    }

    [Fact]
    public async Task A_running_guest_that_dirties_memory_is_saved_and_goes_on_where_it_was()
    {
        QemuOptions source = Machine("source", "pc", 64) with { Paused = false, BootImage = _work.File("boot") };
        DirtyingGuest.WriteImage(source.BootImage!, first: 16 << 20, end: 24 << 20);
        GuestMemory.Fill(source.MemoryFile, 64, seed: 2, halfZero: true);
        await using QemuMachine saved = await QemuMachine.StartAsync(source);
        await saved.GuestWritesAsync();
        string file = _work.File("stream");

        MigrationOutcome outcome = await saved.MigrateAsync($"exec:cat > '{file}'");

        Assert.Equal("completed", outcome.Status);
        Assert.True(outcome.DirtySyncs > 1, $"{outcome}");
        await Restoration.IsIdenticalAsync(saved, file, _work);
    }

    [Fact]
    public void One_changed_byte_is_found_where_it_is()
    {
        GuestMemory.Fill(_work.File("a"), 3, seed: 3, halfZero: true);
        GuestMemory.Fill(_work.File("b"), 3, seed: 3, halfZero: true);
        Assert.Equal(-1, GuestMemory.FirstDifference(_work.File("a"), _work.File("b")));

        using (FileStream b = File.OpenWrite(_work.File("b")))
        {
            b.Position = 2_500_001;
            b.WriteByte(0x55);
        }

        Assert.Equal(2_500_001, GuestMemory.FirstDifference(_work.File("a"), _work.File("b")));
    }

    [Fact]
    public async Task A_QEMU_that_cannot_start_says_why()
    {
        QemuOptions impossible = Machine("source", "no-such-machine", 64);
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => QemuMachine.StartAsync(impossible));
        Assert.Contains("unsupported machine type", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_exit_code_is_the_same_for_all_who_wait_for_it()
    {
        for (int i = 0; i < 200; i++)
        {
            await using ChildProcess child = ChildProcess.Start("sh", "sh", ["-c", "exit 7"]);
            int[] codes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => child.WaitForExitAsync(Deadlines.Answer))));
            Assert.All(codes, code => Assert.Equal(7, code));
        }
    }

    public void Dispose() => _work.Dispose();

    private QemuOptions Machine(string name, string machineType, int mebibytes) =>
        new(name, machineType, mebibytes) { MemoryFile = _work.File($"{name}.ram") };
}
