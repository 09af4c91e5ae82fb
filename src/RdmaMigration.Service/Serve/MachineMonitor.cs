using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Machines;

namespace RdmaMigration.Service;

/// <summary>
/// A QMP monitor over a machine of this process: a client of QMP stops and starts the machine, moves it and watches it as it would a QEMU's. The machine's own
/// members stay usable; only one side moves it at a time. Any thread. Dispose the monitor before the machine.
/// </summary>
public sealed class MachineMonitor : IAsyncDisposable
{
    private readonly Machine _machine;
    private readonly ServeMonitor _monitor;
    private readonly TaskCompletionSource<int> _exit = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private MachineMonitor(Machine machine, ServeMonitor monitor)
    {
        _machine = machine;
        _monitor = monitor;
    }

    /// <summary>
    /// Done when the program should end, with its exit code: 0 after the command quit, 1 after an arrival that failed with exit-on-error.
    /// </summary>
    public Task<int> ExitRequested => _exit.Task;

    /// <summary>Opens a monitor. The machine's RAM, devices and program stay as they are from now on.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="options">Where clients connect, and whether the machine arrives.</param>
    /// <exception cref="Linux.MigrationException">The socket cannot be opened.</exception>
    /// <exception cref="FormatException">The path is <c>fd:N</c> without a number.</exception>
    /// <exception cref="InvalidOperationException">The machine has no program.</exception>
    public static Task<MachineMonitor> OpenAsync(Machine machine, MachineMonitorOptions options)
    {
        ArgumentNullException.ThrowIfNull(machine);
        ArgumentNullException.ThrowIfNull(options);
        return OpenAsync(
            machine,
            new ServeOptions { Monitor = options.Path, Name = options.Name, Incoming = options.AwaitsMachine ? new ServeIncoming(Uri: null) : null },
            options.Log ?? NullLoggerFactory.Instance);
    }

    /// <summary>Clients that are connected.</summary>
    internal int Clients => _monitor.Clients;

    /// <summary>Disconnects the clients, after a second at most. The machine goes on as it is.</summary>
    public async ValueTask DisposeAsync()
    {
        _machine.Moves.Changed -= _monitor.Follow;
        await _monitor.CloseAsync().ConfigureAwait(false);
    }

    /// <summary>As <see cref="OpenAsync(Machine, MachineMonitorOptions)"/>, with options of a service.</summary>
    internal static async Task<MachineMonitor> OpenAsync(Machine machine, ServeOptions options, ILoggerFactory log)
    {
        machine.Use();
        ILogger own = log.CreateLogger<MachineMonitor>();
        MachineMonitor opened = await machine.Loop.InvokeAsync(
            () => new MachineMonitor(machine, new ServeMonitor(machine.Process, machine.Loop, new MonitoredLiveMachine(machine), options, own)))
            .ConfigureAwait(false);
        try
        {
            await machine.Loop.InvokeAsync(opened.Open).ConfigureAwait(false);
        }
        catch
        {
            await opened.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return opened;
    }

    /// <summary>Sends the event SHUTDOWN: the program ends because of a signal.</summary>
    internal void AnnounceSignal() => _monitor.AnnounceShutdown("host-signal");

    private void Open()
    {
        _monitor.Ending += code => _exit.TrySetResult(code);
        _machine.Moves.Changed += _monitor.Follow;
        _monitor.Open();
    }
}
