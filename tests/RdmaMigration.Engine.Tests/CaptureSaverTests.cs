using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>A stop while a complete machine is saved.</summary>
public sealed class CaptureSaverTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-test-");
    private readonly MainLoop _loop = new();

    private string File => Path.Combine(_directory.FullName, "vm.qemu");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void A_machine_whose_source_cannot_be_told_is_saved_though_a_signal_came()
    {
        using MigrationContext context = Started();
        using HeldBackSource channel = new();
        Stop(context);

        Save(context, new IncomingSource(channel));

        context.State.Finish();
        Assert.Equal((MigrationStatus.Completed, null), (context.State.Snapshot().Status, context.State.Snapshot().ErrorClass));
        Assert.Equal(["vm.qemu"], Directory.GetFiles(_directory.FullName).Select(Path.GetFileName));
    }

    [Fact]
    public void Nothing_stops_the_saving_once_it_has_begun_without_a_return_path()
    {
        using MigrationContext context = Started();
        using HeldBackSource channel = new();
        Save(context, new IncomingSource(channel));

        Assert.False(context.State.TryStop(FailureReason.Cancelled, "cancelled"));
        Assert.True(context.State.Snapshot().IsDecided);
    }

    [Fact]
    public void A_machine_whose_source_waits_for_the_result_is_dropped_on_a_signal()
    {
        using MigrationContext context = Started();
        using HeldBackSource channel = new();
        IncomingSource source = new(channel);
        source.OpenReturnPath(TimeSpan.Zero, TimeSpan.Zero);
        Stop(context);

        Assert.Throws<OperationCanceledException>(() => Save(context, source));

        Assert.Empty(Directory.GetFiles(_directory.FullName));
    }

    private MigrationContext Started()
    {
        MigrationContext context = new(_loop, NullLogger.Instance);
        context.State.GoTo(MigrationStatus.Setup);
        context.State.GoTo(MigrationStatus.Active);
        return context;
    }

    private void Stop(MigrationContext context)
    {
        _loop.Lock.Acquire("test");
        context.Stop(FailureReason.Cancelled, "the destination quits");
        _loop.Lock.Release();
    }

    private void Save(MigrationContext context, IncomingSource source)
    {
        string received = Path.GetTempFileName();
        System.IO.File.WriteAllBytes(received, StreamedMachine.All());
        using CapturedMachine machine = new(ulong.MaxValue);
        using CaptureLoad load = new(received, ParameterSet.Defaults, machine, CancellationToken.None);
        _ = load.Load();
        System.IO.File.Delete(received);
        using CaptureSaver saver = new(CaptureTarget.ToFile(File), context, source);
        saver.Begin();
        saver.Take(machine);
    }
}
