using System.Collections.Concurrent;

namespace RdmaMigration.Engine.Tests;

/// <summary>Either direction's engine, with its main loop on a thread of its own and a directory for files.</summary>
internal abstract class RunningMigration : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly BlockingCollection<MigrationInfo> _changes = [];
    private readonly Thread _main;

    protected RunningMigration() => _main = new Thread(Loop.Run) { Name = "main" };

    public MainLoop Loop { get; } = new();

    public abstract MachineProcess Process { get; }

    /// <summary>The capture.</summary>
    public string File => Path.Combine(Directory.FullName, "vm.qemu");

    protected DirectoryInfo Directory { get; } = System.IO.Directory.CreateTempSubdirectory("rdmamig-test-");

    /// <summary>The next transition.</summary>
    public MigrationInfo Next() =>
        _changes.TryTake(out MigrationInfo? info, s_patience) ? info : throw new TimeoutException($"no transition; at {Process.Query()}");

    /// <summary>The next transition that ends a migration.</summary>
    public MigrationInfo Ended() => Until(info => info.Status.IsFinal());

    /// <summary>The next transition of a kind.</summary>
    public MigrationInfo Until(Func<MigrationInfo, bool> isIt)
    {
        MigrationInfo info;
        do
        {
            info = Next();
        }
        while (!isIt(info));
        return info;
    }

    /// <summary>Waits for the teardown after a final status.</summary>
    public void Settle() => Assert.True(SpinWait.SpinUntil(() => !Process.IsBusy, s_patience), "the migration is not torn down");

    /// <summary>Waits for the main loop's end.</summary>
    public void AwaitEnd(TimeSpan within) => Assert.True(_main.Join(within), $"the main loop runs on after {within}");

    public virtual void Dispose()
    {
        Process.Quit();
        Assert.True(_main.Join(s_patience), "the main loop did not end");
        Process.Dispose();
        _changes.Dispose();
        Directory.Delete(recursive: true);
    }

    /// <summary>Runs the loop, once the migration is there.</summary>
    protected void Run()
    {
        Process.StatusChanged += info =>
        {
            Loop.Lock.AssertHeld();
            Assert.True(Loop.IsMainThread);
            _changes.Add(info);
        };
        _main.Start();
    }
}
