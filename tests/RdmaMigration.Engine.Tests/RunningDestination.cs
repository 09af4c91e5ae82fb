using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>An incoming side that listens on the real device, with its main loop on a thread of its own.</summary>
internal sealed class RunningDestination : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
    private readonly BlockingCollection<MigrationInfo> _changes = [];
    private readonly Thread _main;
    private int _exitCode;

    public RunningDestination(Func<IncomingOptions, IncomingOptions>? configure = null, IPAddress? address = null)
    {
        File = Path.Combine(_directory.FullName, "vm.qemu");
        IncomingOptions options = new()
        {
            Uri = new RdmaUri((address ?? RdmaAddress.V4).ToString(), 0),
            Target = CaptureTarget.ToFile(File),
            MaxRam = 64 << 20,
            ReturnPathTimeout = TimeSpan.FromSeconds(20),
        };
        Migration = new IncomingMigration(Loop, configure?.Invoke(options) ?? options, NullLogger<IncomingMigration>.Instance);
        Migration.StatusChanged += info =>
        {
            Loop.Lock.AssertHeld();
            Assert.True(Loop.IsMainThread);
            _changes.Add(info);
        };
        Migration.Start();
        _main = new Thread(() => _exitCode = Loop.Run()) { Name = "main" };
        _main.Start();
    }

    public MainLoop Loop { get; } = new();

    public IncomingMigration Migration { get; }

    public string File { get; }

    public IReadOnlyList<string> LeftBehind => [.. _directory.EnumerateFiles().Select(file => file.Name).Where(name => name != "vm.qemu")];

    public IPEndPoint EndPoint => Migration.LocalEndPoint!;

    public RdmaSource Connect(bool pinAll = false) => RdmaSource.Connect(EndPoint, pinAll ? RdmaSource.PinAll : RdmaSource.Dynamic);

    /// <summary>The next transition.</summary>
    public MigrationInfo Next() =>
        _changes.TryTake(out MigrationInfo? info, s_patience) ? info : throw new TimeoutException($"no transition; at {Migration.Query()}");

    /// <summary>The next transition that ends a migration.</summary>
    public MigrationInfo Ended()
    {
        MigrationInfo info;
        do
        {
            info = Next();
        }
        while (!info.Status.IsFinal());
        return info;
    }

    /// <summary>Waits for the teardown after a final status.</summary>
    public void Settle() => Assert.True(SpinWait.SpinUntil(() => !Migration.IsBusy, s_patience), "the migration is not torn down");

    /// <summary>Waits for the main loop's end.</summary>
    public int ExitCode(TimeSpan within) => _main.Join(within) ? _exitCode : throw new TimeoutException($"the main loop runs on after {within}");

    public void Dispose()
    {
        Migration.Quit(0);
        Assert.True(_main.Join(s_patience), "the main loop did not end");
        Migration.Dispose();
        _changes.Dispose();
        _directory.Delete(recursive: true);
    }
}
