using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A process with a machine that runs, or waits for one.</summary>
internal sealed class RunningMachine : RunningMigration
{
    public RunningMachine(Func<RunningMachine, WritingMachine>? create = null)
    {
        Machine = create?.Invoke(this) ?? new WritingMachine(() => Loop.Lock.IsHeld);
        Process = new MachineProcess(Loop, NullLogger<MachineProcess>.Instance);
        Run();
    }

    public override MachineProcess Process { get; }

    public WritingMachine Machine { get; }

    /// <summary>Starts the machine, as a program does that begins here.</summary>
    public void Start() => OnMain(Machine.Start);

    /// <summary>Waits for the machine of another process.</summary>
    /// <returns>Where.</returns>
    public MigrationUri Listen(MigrationUri uri, Func<IncomingOptions, IncomingOptions>? configure = null)
    {
        IncomingOptions options = new() { Uri = uri, Target = new LiveTarget(Machine) };
        OnMain(() => Process.Listen(configure?.Invoke(options) ?? options));
        return Process.Uri!;
    }

    /// <summary>Begins to send the machine.</summary>
    public Task Send(MigrationUri uri, Func<OutgoingOptions, OutgoingOptions>? configure = null)
    {
        OutgoingOptions options = new() { Uri = uri };
        if (uri is RdmaUri)
        {
            // Beside other guests the rig's device can be as slow as the machine writes.
            options = options.With(MigrationParameters.DowntimeLimit, TimeSpan.FromSeconds(5));
        }

        return Process.MigrateAsync(Machine, configure?.Invoke(options) ?? options);
    }

    /// <summary>Does something on the main thread, with the lock held.</summary>
    public void OnMain(Action action) => Loop.InvokeAsync(action).GetAwaiter().GetResult();

    public override void Dispose()
    {
        base.Dispose();
        Machine.Dispose();
    }
}
