using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>A host whose first process is this machine's systemd: <c>Systemd/systemd-host</c>. Its services end with it.</summary>
public sealed class SystemdHost : IAsyncDisposable
{
    private static readonly string s_script = Path.Combine(
        Executables.RepositoryRoot, "tests", "RdmaMigration.Interop.Tests", "Systemd", "systemd-host");

    private readonly ChildProcess _process;

    private SystemdHost(ChildProcess process) => _process = process;

    /// <summary>Starts a host with rdmamig and a unit, and returns when it has booted.</summary>
    /// <param name="unit">The unit file.</param>
    /// <param name="settings">Files for /etc/rdmamig.</param>
    public static async Task<SystemdHost> StartAsync(string unit, params string[] settings)
    {
        _ = Executables.OnPath("systemctl", "systemd");
        SystemdHost host = new(ChildProcess.Start("systemd", s_script, [Executables.Rdmamig, unit, .. settings]));
        try
        {
            await host.BootAsync();
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a program in the host.</summary>
    public Task<(int ExitCode, string Output)> TryAsync(params string[] command) => ChildProcess.RunAsync(
        Executables.OnPath("nsenter", "util-linux"),
        [$"--mount=/proc/{_process.Id}/ns/mnt", $"--pid=/proc/{_process.Id}/ns/pid_for_children", .. command]);

    /// <summary>Runs systemctl, which must succeed.</summary>
    public async Task<string> SystemctlAsync(params string[] arguments)
    {
        (int exitCode, string output) = await TryAsync(["systemctl", .. arguments]);
        return exitCode == 0 ? output : throw new InvalidOperationException($"systemctl {string.Join(' ', arguments)}: {output}\n{await JournalAsync()}");
    }

    /// <summary>A property of a unit.</summary>
    public async Task<string> PropertyAsync(string unit, string property) =>
        (await SystemctlAsync("show", "--value", "--property", property, unit)).Trim();

    /// <summary>Waits until a property of a unit has the awaited value.</summary>
    public async Task UntilAsync(string unit, string property, Func<string, bool> isAwaited)
    {
        using CancellationTokenSource deadline = new(Deadlines.Migration);
        for (string found; !isAwaited(found = await PropertyAsync(unit, property));)
        {
            if (deadline.IsCancellationRequested)
            {
                throw new TimeoutException($"{property} of {unit} is still {found}\n{await JournalAsync()}");
            }
        }
    }

    /// <summary>Connects to the monitor of an instance.</summary>
    public async Task<QmpClient> ConnectAsync(string instance)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(PathOf($"/run/rdmamig/{instance}/qmp")));
            return await QmpClient.OpenAsync(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A file of the host, as this process sees it.</summary>
    public string PathOf(string file) => $"/proc/{_process.Id}/root{file}";

    /// <summary>What the instances of the unit, and systemd about them, have logged. A line begins with its time in seconds.</summary>
    public async Task<string> JournalAsync()
    {
        await TryAsync("journalctl", "--sync");
        return (await TryAsync("journalctl", "--no-pager", "--output=short-unix", "--unit=rdmamig@*")).Output;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private async Task BootAsync()
    {
        using CancellationTokenSource deadline = new(Deadlines.Migration);
        Task<int> exited = _process.WaitForExitAsync(Deadlines.Migration);
        while (await TryAsync("systemctl", "is-system-running") is { ExitCode: not 0, Output: var state })
        {
            if (exited.IsCompletedSuccessfully)
            {
                throw new InvalidOperationException($"systemd ended with {await exited}: {_process.Errors}");
            }

            if (deadline.IsCancellationRequested)
            {
                throw new TimeoutException($"systemd does not run: {state}\n{_process.Errors}");
            }
        }

        _ = exited.ContinueWith(static late => _ = late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }
}
