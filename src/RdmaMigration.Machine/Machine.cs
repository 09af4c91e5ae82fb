using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Transport;
using RdmaMigration.VmState;

namespace RdmaMigration.Machines;

/// <summary>
/// A machine of this process: RAM blocks that a program works in, devices with typed state, and the program. It moves to another process while the program
/// runs (<see cref="MigrateAsync"/>), and arrives from one (<see cref="ReceiveAsync"/>). Add RAM and devices and set <see cref="Program"/> first; from the
/// first <see cref="StartAsync"/>, <see cref="MigrateAsync"/> or <see cref="ReceiveAsync"/> on they stay as they are. All members may be used from any thread,
/// but not from a method of <see cref="IMachineProgram"/>: the machine waits for that method.
/// </summary>
public sealed class Machine : IDisposable
{
    private readonly object _gate = new();
    private readonly MainLoop _loop = new();
    private readonly Thread _thread;
    private readonly LiveMachine _live;
    private readonly MachineMoves _moves;
    private bool _isInUse;
    private bool _isDisposed;

    /// <summary>Creates a machine without RAM, and starts its main thread.</summary>
    /// <exception cref="ArgumentException">The name is empty, too long, or has other than printable ASCII characters; or there is no such tracking.</exception>
    public Machine(MachineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Name is not { Length: > 0 and <= byte.MaxValue } name || !name.All(character => character is > ' ' and <= '~'))
        {
            throw new ArgumentException("a machine's name has 1 to 255 printable ASCII characters", nameof(options));
        }

        DirtyTracking? tracking = options.Tracking is { } wish ? MachineMigration.Of(wish) : null;
        ILoggerFactory log = options.Log ?? NullLoggerFactory.Instance;
        _live = new LiveMachine(options.Name, tracking, log.CreateLogger<Machine>());
        Process = new MachineProcess(_loop, log.CreateLogger<MachineProcess>());
        _moves = new MachineMoves(_loop, Process, _live);
        _thread = new Thread(_loop.Run) { Name = "machine/main", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Where the machine runs.</summary>
    public MachineState State => _live.State;

    /// <summary>The program that runs in the machine. Set it before the machine is used.</summary>
    /// <exception cref="InvalidOperationException">The machine is in use.</exception>
    public IMachineProgram? Program
    {
        get => _live.Program;
        set => Prepare(() => _live.Program = value);
    }

    /// <summary>What runs migrations, for the commands of this project.</summary>
    internal MachineProcess Process { get; }

    /// <summary>The main thread's loop, for a monitor.</summary>
    internal MainLoop Loop => _loop;

    /// <summary>Starts, stops and moves the machine on its main thread, for a monitor.</summary>
    internal MachineMoves Moves => _moves;

    /// <summary>The machine as the engine sees it, for a monitor.</summary>
    internal LiveMachine Live => _live;

    /// <summary>Adds a block of RAM that reads as zero. Memory that the program does not write costs nothing.</summary>
    /// <param name="name">The block's name: 1 to 255 printable ASCII characters, not used yet. The destination has a block of the same name and length.</param>
    /// <param name="length">Bytes: a positive multiple of <see cref="MachineRam.PageSize"/>.</param>
    /// <param name="hugePages">
    /// Uses huge pages of the host's default size, of which enough must be free. <paramref name="length"/> is then a multiple of that size.
    /// </param>
    /// <exception cref="IOException">The length is no such multiple, or the kernel refuses.</exception>
    /// <exception cref="ArgumentException">The name is empty, too long or used.</exception>
    /// <exception cref="InvalidOperationException">The machine is in use.</exception>
    public MachineRam AddRam(string name, ulong length, bool hugePages = false)
    {
        MachineRam? added = null;
        Prepare(() => added = _live.AddRam(name, length, hugePages));
        return added!;
    }

    /// <summary>
    /// Adds a device: state of the program that is not in RAM. Devices are sent, and applied, in the order of their priority, then of their addition.
    /// </summary>
    /// <typeparam name="T">The type of the state.</typeparam>
    /// <param name="description">Name, version and fields. The destination has the same.</param>
    /// <param name="state">The object that the fields are read from and written to, with the machine stopped.</param>
    /// <param name="instanceId">Tells devices of the same description apart.</param>
    /// <exception cref="ArgumentException">There is a device with this name and number.</exception>
    /// <exception cref="InvalidOperationException">The machine is in use.</exception>
    public void AddDevice<T>(VmStateDescription<T> description, T state, uint instanceId = 0)
        where T : class => Prepare(() => _live.Devices.Add(Device.Create(description, state, instanceId)));

    /// <summary>Runs the program here: for the first time, or after <see cref="StopAsync"/>.</summary>
    /// <exception cref="InvalidOperationException">There is no program, or the machine runs already, moves, or has moved away.</exception>
    public Task StartAsync()
    {
        Use();
        return _loop.InvokeAsync(_moves.Start);
    }

    /// <summary>Stops the program here; <see cref="StartAsync"/> runs it again. Not while the machine moves.</summary>
    /// <exception cref="InvalidOperationException">The machine does not run here, or it moves.</exception>
    public Task StopAsync() => _loop.InvokeAsync(_moves.Stop);

    /// <summary>
    /// Moves the machine to a process that waits in <see cref="ReceiveAsync"/>, while the program runs. The program stops for the last part and starts there.
    /// </summary>
    /// <param name="uri">The destination, in QEMU's syntax: <c>rdma:HOST:PORT</c>, <c>tcp:HOST:PORT</c>, <c>unix:PATH</c> and others.</param>
    /// <param name="parameters">
    /// Parameters by name as the command line's help lists them, such as <c>downtime-limit</c>; values as a person writes them. Null for the defaults. With
    /// <c>pause-before-switchover</c> <c>on</c> the migration waits for <see cref="ContinueAsync"/> once the program is stopped.
    /// </param>
    /// <param name="cancellation">Cancels the migration. It is too late once the destination has confirmed that the machine runs there.</param>
    /// <returns>The figures of the migration; the machine runs at the destination.</returns>
    /// <exception cref="MigrationException">
    /// The migration failed. The machine runs here as before, unless <see cref="State"/> says otherwise: a destination that has everything and disconnects
    /// without an answer may run it, and the message says so.
    /// </exception>
    /// <exception cref="OperationCanceledException">The migration was cancelled; the machine runs here as before.</exception>
    /// <exception cref="ArgumentException">The URI, or a parameter, is unknown or out of range.</exception>
    /// <exception cref="InvalidOperationException">The machine is not here, or moves already.</exception>
    public Task<MachineMigration> MigrateAsync(
        string uri, IReadOnlyDictionary<string, string>? parameters = null, CancellationToken cancellation = default)
    {
        MigrationUri to = ParseUri(uri);
        return SendAsync(new OutgoingOptions { Uri = to, Parameters = ParameterSet.Parse(parameters, to, MigrationSide.Outgoing) }, cancellation);
    }

    /// <summary>
    /// Goes on with a migration that waits in <see cref="MachineMigrationStatus.PreSwitchover"/>: the last pages and the devices are sent. Parameter
    /// <c>pause-before-switchover</c> makes <see cref="MigrateAsync"/> wait there, with the program stopped, until this call or a cancel.
    /// </summary>
    /// <returns>Completed when the migration goes on; <see cref="MigrateAsync"/> has its end.</returns>
    /// <exception cref="InvalidOperationException">No migration waits.</exception>
    public Task ContinueAsync() => _loop.InvokeAsync(_moves.Continue);

    /// <summary>
    /// Waits until the machine arrives from another process, and starts the program then. What RAM has here is forgotten. A migration that fails does not end
    /// the wait if its source may try again: it keeps the machine.
    /// </summary>
    /// <param name="uri">Where to listen, in QEMU's syntax, or what to read: <c>file:PATH</c>, <c>exec:COMMAND</c>, <c>fd:N</c>.</param>
    /// <param name="parameters">As of <see cref="MigrateAsync"/>.</param>
    /// <param name="listening">
    /// Called once a source can connect, with the URI; its port is the one that was chosen when 0 was asked. On the main thread: it returns soon. Null for
    /// nothing.
    /// </param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>The figures of the migration; the machine runs here.</returns>
    /// <exception cref="MigrationException">This host cannot listen there, or the one migration that there is failed.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled; no machine is here.</exception>
    /// <exception cref="ArgumentException">The URI, or a parameter, is unknown or out of range.</exception>
    /// <exception cref="InvalidOperationException">There is no program, or the machine is here already.</exception>
    public Task<MachineMigration> ReceiveAsync(
        string uri, IReadOnlyDictionary<string, string>? parameters = null, Action<string>? listening = null, CancellationToken cancellation = default)
    {
        MigrationUri from = ParseUri(uri);
        return TakeAsync(from, ParameterSet.Parse(parameters, from, MigrationSide.Incoming), listening, cancellation);
    }

    /// <summary>The migration that runs, or the last one.</summary>
    public MachineMigration Query() => MachineMigration.Of(Process.Query());

    /// <summary>
    /// Stops the program if it runs, cancels what moves, ends the main thread and frees the RAM. Nothing may use the RAM any more.
    /// </summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        _loop.Schedule(_moves.End);
        Process.Quit();
        _thread.Join();
        Process.Dispose();
        _live.Dispose();
    }

    /// <summary>From now on RAM, devices and program stay as they are.</summary>
    internal void Use()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _isInUse |= _live.Program is not null ? true : throw new InvalidOperationException("the machine has no program: set Program first");
        }
    }

    /// <summary>As <see cref="MigrateAsync"/>, with options of the engine.</summary>
    internal async Task<MachineMigration> SendAsync(OutgoingOptions options, CancellationToken cancellation)
    {
        Use();
        return MachineMigration.Of(await _moves.SendAsync(options, cancellation).ConfigureAwait(false));
    }

    /// <summary>As <see cref="ReceiveAsync"/>, with parameters of the engine.</summary>
    internal async Task<MachineMigration> TakeAsync(
        MigrationUri uri, ParameterSet parameters, Action<string>? listening, CancellationToken cancellation)
    {
        Use();
        IncomingOptions options = new() { Uri = uri, Parameters = parameters, Target = new LiveTarget(_live) };
        return MachineMigration.Of(await _moves.ReceiveAsync(options, listening, cancellation).ConfigureAwait(false));
    }

    private static MigrationUri ParseUri(string uri)
    {
        ArgumentNullException.ThrowIfNull(uri);
        try
        {
            return MigrationUri.Parse(uri);
        }
        catch (FormatException unreadable)
        {
            throw new ArgumentException(unreadable.Message, nameof(uri), unreadable);
        }
    }

    /// <summary>Changes the machine before it is used.</summary>
    private void Prepare(Action change)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_isInUse)
            {
                throw new InvalidOperationException("the machine is in use: add RAM, devices and the program before it starts, moves or arrives");
            }

            change();
        }
    }
}
