using RdmaMigration.Testing;

namespace RdmaMigration.Streams.Tests;

/// <summary>A stream that a real QEMU wrote to a file, and the memory that it wrote.</summary>
internal sealed class RealStream : IDisposable
{
    private readonly WorkDirectory _work = new();

    private RealStream(QemuOptions options) => Options = options with { MemoryFile = _work.File("ram") };

    public QemuOptions Options { get; }

    public string File => _work.File("stream");

    public string MemoryFile => Options.MemoryFile;

    public string InWorkDirectory(string name) => _work.File(name);

    /// <summary>Starts a paused machine with memory of known content and lets it migrate into a file.</summary>
    public static async Task<RealStream> CaptureAsync(QemuOptions options, Func<QemuMachine, Task>? prepare, params string[] capabilities)
    {
        RealStream stream = new(options);
        try
        {
            GuestMemory.Fill(stream.MemoryFile, options.RamMebibytes, seed: 20260715, halfZero: true);
            await using QemuMachine machine = await QemuMachine.StartAsync(stream.Options);
            await (prepare?.Invoke(machine) ?? Task.CompletedTask);
            await machine.SetCapabilitiesAsync([.. capabilities.Select(c => (c, true))]);
            MigrationOutcome outcome = await machine.MigrateAsync($"exec:cat > '{stream.File}'");
            Assert.True(outcome.Status == "completed", $"{outcome.Status}: {outcome.Error} {machine.Process.Errors}");
            return stream;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    public CapturedStream Load(RecordingHandler handler, int mostPerRead = int.MaxValue)
    {
        using FileStream file = System.IO.File.OpenRead(File);
        return new IncomingStream(new FileSource(file, mostPerRead), handler, TestOptions.Stream).Load(BigLockState.NotHeld);
    }

    public void Dispose() => _work.Dispose();
}
