using RdmaMigration.Testing;

namespace RdmaMigration.Bench;

/// <summary>A program that waits for the machine. Disposing ends it and removes what arrived.</summary>
internal abstract class Destination : IAsyncDisposable
{
    public abstract int Pid { get; }

    /// <summary>What it has said on its error stream.</summary>
    public abstract string Errors { get; }

    /// <summary>The CPU time that it had used when the machine was loaded, before it wrote it down if it does. After <see cref="ArrivedAsync"/>.</summary>
    public virtual Task<ProcessorTime> LoadedAsync() => Task.FromResult(ProcessorTime.OfProcess(Pid));

    /// <summary>Returns when it says that the migration completed.</summary>
    /// <exception cref="InvalidOperationException">It says that it failed.</exception>
    public abstract Task ArrivedAsync();

    public abstract ValueTask DisposeAsync();
}

/// <summary>qemu -incoming URI.</summary>
internal sealed class QemuDestination : Destination
{
    private readonly QemuMachine _machine;

    private QemuDestination(QemuMachine machine) => _machine = machine;

    public override int Pid => _machine.Process.Id;

    public override string Errors => _machine.Process.Errors;

    public static async Task<QemuDestination> ListenAsync(Workbench bench, string uri) => new(await bench.StartDestinationAsync(uri));

    public override async Task ArrivedAsync()
    {
        QmpEvent end = await _machine.MigrationEndAsync(0);
        if (end.Status != "completed")
        {
            throw new InvalidOperationException($"the destination QEMU says {end}\n{_machine.Process.Errors}");
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _machine.DisposeAsync();
        File.Delete(_machine.Options.MemoryFile);
    }
}

/// <summary>rdmamig receive URI --to DIR/, which goes on serving, so that its CPU time can still be read.</summary>
internal sealed class RdmamigDestination : Destination
{
    /// <summary>Beside its RAM a machine has ROMs.</summary>
    private const int RomMebibytes = 16;

    private readonly RdmamigProcess _receiver;
    private readonly WorkDirectory _captures;
    private readonly FileSystemWatcher _watcher;
    private readonly TaskCompletionSource<ProcessorTime> _loaded = new();

    private RdmamigDestination(RdmamigProcess receiver, WorkDirectory captures)
    {
        _receiver = receiver;
        _captures = captures;

        // The file is there from the start; its first bytes come when the machine is complete.
        _watcher = new FileSystemWatcher(captures.FullName) { NotifyFilter = NotifyFilters.Size };
        _watcher.Changed += (_, _) => _loaded.TrySetResult(ProcessorTime.OfProcess(Pid));
        _watcher.EnableRaisingEvents = true;
    }

    public override int Pid => _receiver.Process.Id;

    public override string Errors => _receiver.Process.Errors;

    public override Task<ProcessorTime> LoadedAsync() => _loaded.Task.WaitAsync(Deadlines.Answer);

    public static async Task<RdmamigDestination> ListenAsync(Workbench bench, string uri)
    {
        WorkDirectory captures = new();
        try
        {
            // Reports as often as without --json: a QEMU tells nothing unasked, and each costs what 100 control messages do.
            string[] options = ["--max-ram", Report.Text($"{bench.Mebibytes + RomMebibytes}M"), "--interval", "5"];
            return new RdmamigDestination(await RdmamigProcess.ListenAsync(uri, captures.FullName + "/", options, ExactProcessors.ForReceiver), captures);
        }
        catch
        {
            captures.Dispose();
            throw;
        }
    }

    public override async Task ArrivedAsync()
    {
        ReceiveResult result = await _receiver.ResultAsync();
        if (!result.Completed)
        {
            throw new InvalidOperationException($"rdmamig receive says {result}\n{_receiver.Process.Errors}");
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _receiver.DisposeAsync();
        _watcher.Dispose();
        _captures.Dispose();
    }
}
