using System.Net.Sockets;

namespace RdmaMigration.Testing;

/// <summary>`rdmamig serve` with its monitor.</summary>
public sealed class ServeProcess : IAsyncDisposable
{
    private readonly WorkDirectory _work;

    private ServeProcess(WorkDirectory work, ChildProcess process, QmpClient monitor, EventLog<string> log)
    {
        _work = work;
        Process = process;
        Monitor = monitor;
        Log = log;
    }

    public ChildProcess Process { get; }

    public QmpClient Monitor { get; }

    /// <summary>The lines of its error stream.</summary>
    public EventLog<string> Log { get; }

    /// <summary>Starts a service and returns when its monitor answers.</summary>
    /// <param name="options">Options but --qmp.</param>
    public static Task<ServeProcess> StartAsync(params string[] options) => StartInAsync([], options);

    /// <summary>As <see cref="StartAsync(string[])"/>, with variables in its environment.</summary>
    /// <param name="environment">Each as NAME=VALUE.</param>
    /// <param name="options">Options but --qmp.</param>
    public static Task<ServeProcess> StartInAsync(string[] environment, params string[] options) => StartAsync(
        "rdmamig serve", Executables.OnPath("env", "coreutils"), path => [.. environment, Executables.Rdmamig, "serve", "--qmp", path, .. options]);

    /// <summary>Starts `rdmamig guest` and returns when its monitor answers.</summary>
    /// <param name="options">Options but --qmp.</param>
    public static Task<ServeProcess> StartGuestAsync(params string[] options) =>
        StartAsync("rdmamig guest", Executables.Rdmamig, path => ["guest", "--qmp", path, .. options]);

    /// <summary>Starts `rdmamig qemu` with QEMU's command line for a machine, or that QEMU itself.</summary>
    public static Task<ServeProcess> StartEmulatorAsync(QemuOptions machine, bool isQemu)
    {
        string[] before = isQemu ? [] : ["qemu", "--emulator", Executables.Qemu, "--"];
        return StartAsync(machine.Name, isQemu ? Executables.Qemu : Executables.Rdmamig, path =>
        [
            .. before,
            .. machine.Arguments(path, serialSocket: null)
                .Select(argument => argument.EndsWith(path, StringComparison.Ordinal) ? $"{argument},server=on,wait=off" : argument),
        ]);
    }

    private static async Task<ServeProcess> StartAsync(string name, string program, Func<string, string[]> arguments)
    {
        WorkDirectory work = new();
        string path = work.File("qmp");
        EventLog<string> log = new();
        ChildProcess process = ChildProcess.Start(name, program, arguments(path), onError: log.Add);
        try
        {
            return new ServeProcess(work, process, await ConnectAsync(path, process), log);
        }
        catch
        {
            await process.DisposeAsync();
            work.Dispose();
            throw;
        }
    }

    /// <summary>The monitor's socket.</summary>
    public string Socket => _work.File("qmp");

    /// <summary>Opens a further monitor session.</summary>
    public Task<QmpClient> ConnectAsync(bool isOob = false) => ConnectAsync(_work.File("qmp"), Process, isOob);

    /// <summary>Sends a signal, by name.</summary>
    public Task SignalAsync(string signal) => Process.SignalAsync(signal);

    public async ValueTask DisposeAsync()
    {
        await Process.DisposeAsync();
        await Monitor.DisposeAsync();
        _work.Dispose();
    }

    private static async Task<QmpClient> ConnectAsync(string path, ChildProcess process, bool isOob = false)
    {
        Task<int> exited = process.WaitForExitAsync(Deadlines.Start);
        while (true)
        {
            System.Net.Sockets.Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
                return await QmpClient.OpenAsync(socket, isOob);
            }
            catch (SocketException) when (!exited.IsCompleted)
            {
                // It does not listen yet.
                socket.Dispose();
                await Task.WhenAny(exited, Task.Delay(20));
            }
            catch (SocketException)
            {
                socket.Dispose();
                throw new InvalidOperationException($"{process.Name} ended with {await exited}: {process.Errors}");
            }
        }
    }
}
