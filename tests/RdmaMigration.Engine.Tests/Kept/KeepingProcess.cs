using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>A process that keeps a machine in memory.</summary>
internal sealed class KeepingProcess : RunningMigration
{
    /// <summary>Where a script is the destination.</summary>
    public static readonly MigrationUri Scripted = new UnixUri("scripted");

    private readonly OutgoingConnector _connector = new(NullLogger.Instance);

    /// <param name="script">The destination under <see cref="Scripted"/>.</param>
    public KeepingProcess(ScriptedDestination? script = null)
    {
        Process = new MachineProcess(
            Loop, (options, cancel) => options.Uri == Scripted ? script! : _connector.Open(options, cancel), NullLogger<MachineProcess>.Instance);
        Run();
    }

    public override MachineProcess Process { get; }

    public KeptMachine? Kept => Process.Kept;

    /// <summary>Files that hold RAM or device state.</summary>
    public static IEnumerable<string> FilesOfMachines => OpenFiles.Names(Environment.ProcessId)
        .Where(name => name.Contains("rdmamig:", StringComparison.Ordinal) || name.Contains("rdmamig-device-state", StringComparison.Ordinal));

    /// <summary>A process that keeps the <see cref="ScatteredMachine"/>.</summary>
    public static KeepingProcess WithMachine(ScriptedDestination? script = null)
    {
        KeepingProcess process = new(script);
        process.Listen();
        Assert.Equal(MigrationStatus.Completed, process.Take(ScatteredMachine.Stream()).Status);
        return process;
    }

    /// <summary>Waits for a machine to keep.</summary>
    /// <returns>Where.</returns>
    public MigrationUri Listen(MigrationUri? uri = null, Func<IncomingOptions, IncomingOptions>? configure = null)
    {
        IncomingOptions options = new() { Uri = uri ?? new TcpUri("127.0.0.1", 0), Target = new KeepTarget() };
        OnMain(() => Process.Listen(configure?.Invoke(options) ?? options));
        return Process.Uri!;
    }

    /// <summary>A source on a socket sends these bytes and closes.</summary>
    public MigrationInfo Take(ReadOnlySpan<byte> stream)
    {
        using (Socket source = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            source.Connect(Process.LocalEndPoint!);
            for (int sent = 0; sent < stream.Length;)
            {
                sent += source.Send(stream[sent..]);
            }

            source.Shutdown(SocketShutdown.Send);
        }

        MigrationInfo ended = Ended();
        Settle();
        return ended;
    }

    /// <summary>Begins to send the machine.</summary>
    public void Send(MigrationUri uri, Func<OutgoingOptions, OutgoingOptions>? configure = null)
    {
        OutgoingOptions options = new() { Uri = uri };
        Process.MigrateAsync(configure?.Invoke(options) ?? options).GetAwaiter().GetResult();
    }

    /// <summary>Sends the machine, and waits for the end.</summary>
    public MigrationInfo SendToEnd(MigrationUri uri, Func<OutgoingOptions, OutgoingOptions>? configure = null)
    {
        Send(uri, configure);
        MigrationInfo ended = Ended();
        Settle();
        return ended;
    }

    /// <summary>Sends the machine to another process, which listens already or does so now. Both have all of it then.</summary>
    public MigrationInfo SendTo(KeepingProcess destination, MigrationUri? where = null, Func<OutgoingOptions, OutgoingOptions>? configure = null)
    {
        MigrationInfo sent = SendToEnd(destination.Process.Uri ?? destination.Listen(where), configure);
        Assert.Equal((MigrationStatus.Completed, null), (sent.Status, sent.ErrorDescription));
        Assert.Equal(MigrationStatus.Completed, destination.Ended().Status);
        destination.Settle();
        ScatteredMachine.AssertWhole(destination.Kept);
        ScatteredMachine.AssertWhole(Kept);
        return sent;
    }

    /// <summary>Waits until some pages with data were sent, or have arrived.</summary>
    public void AwaitPages() => Assert.True(
        SpinWait.SpinUntil(
            () => Process.Query() is { Phase: MigrationPhase.Sending or MigrationPhase.Ram } info && info.RamTransferred > info.RamZero,
            TimeSpan.FromSeconds(20)),
        $"{Process.Query()}");

    public void Drop() => OnMain(Process.Drop);

    /// <summary>Does something on the main thread, with the lock held.</summary>
    public void OnMain(Action action) => Loop.InvokeAsync(action).GetAwaiter().GetResult();

    public override void Dispose()
    {
        base.Dispose();
        _connector.Dispose();
    }
}
