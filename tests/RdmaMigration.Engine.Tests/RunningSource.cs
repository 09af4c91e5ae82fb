using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>An outgoing side with a capture to send. When it is disposed, the capture must be as it was, and nothing held any more.</summary>
internal sealed class RunningSource : RunningMigration
{
    private static readonly MigrationUri s_anywhere = new UnixUri("scripted");

    private readonly (string Hash, DateTime WrittenAt) _before;

    /// <param name="open">Opens the channels; null: those of the options' URI.</param>
    public RunningSource(Func<CancellationToken, OutgoingChannel>? open = null)
    {
        System.IO.File.WriteAllBytes(File, StreamedMachine.All());
        _before = Look();
        Process = open is null
            ? new MachineProcess(Loop, NullLogger<MachineProcess>.Instance)
            : new MachineProcess(Loop, (_, cancel) => open(cancel), NullLogger.Instance);
        Run();
    }

    /// <summary>One that always gets this channel.</summary>
    public RunningSource(ScriptedDestination destination) : this(_ => destination)
    {
    }

    public override MachineProcess Process { get; }

    /// <summary>The begin of what was sent last.</summary>
    public Task? Sending { get; private set; }

    /// <summary>The threads of migrations that this process has.</summary>
    public static IReadOnlyList<string> MigrationThreads =>
        [.. ProcessFootprint.ThreadsOf(Environment.ProcessId).Where(name => name.StartsWith("mig/", StringComparison.Ordinal)).Order()];

    /// <summary>Waits until the migration is at something.</summary>
    public void AwaitPhase(MigrationPhase phase) =>
        Assert.True(SpinWait.SpinUntil(() => Process.Query().Phase == phase, TimeSpan.FromSeconds(20)), $"{Process.Query()}");

    /// <summary>Begins to send the capture.</summary>
    public void Send(Func<OutgoingOptions, OutgoingOptions>? configure = null, string? path = null)
    {
        OutgoingOptions options = new() { Uri = s_anywhere };
        Sending = Process.MigrateAsync(path ?? File, configure?.Invoke(options) ?? options);
    }

    /// <summary>Sends the capture, and waits for the end.</summary>
    public MigrationInfo SendToEnd(Func<OutgoingOptions, OutgoingOptions>? configure = null, string? path = null)
    {
        Send(configure, path);
        return Ended();
    }

    public override void Dispose()
    {
        Assert.Equal(_before, Look());
        base.Dispose();

        // A thread that has been joined is in the kernel for a moment more.
        Assert.True(
            SpinWait.SpinUntil(() => ProcessFootprint.Of(Environment.ProcessId) is { MigrationThreads: 0, RamMappings: 0 }, TimeSpan.FromSeconds(5)),
            $"{ProcessFootprint.Of(Environment.ProcessId)}");
    }

    private (string Hash, DateTime WrittenAt) Look() =>
        (Convert.ToHexString(SHA256.HashData(System.IO.File.ReadAllBytes(File))), System.IO.File.GetLastWriteTimeUtc(File));
}
