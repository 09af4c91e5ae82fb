using System.Net.Sockets;
using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>A real QEMU process with its monitor, and with COM1 when it boots something.</summary>
public sealed class QemuMachine : IAsyncDisposable
{
    private readonly WorkDirectory _sockets;
    private readonly ChildProcess _process;
    private readonly NetworkStream? _serial;

    private QemuMachine(QemuOptions options, WorkDirectory sockets, ChildProcess process, QmpClient monitor, NetworkStream? serial)
    {
        Options = options;
        _sockets = sockets;
        _process = process;
        Monitor = monitor;
        _serial = serial;
    }

    public QemuOptions Options { get; }

    public QmpClient Monitor { get; }

    public ChildProcess Process => _process;

    /// <summary>What the guest writes to COM1; null unless the machine boots something.</summary>
    public Stream? Serial => _serial;

    /// <summary>Starts QEMU and returns when its monitor answers.</summary>
    /// <exception cref="InvalidOperationException">It ended instead; the message has its last words.</exception>
    public static async Task<QemuMachine> StartAsync(QemuOptions options)
    {
        WorkDirectory sockets = new();
        ChildProcess? process = null;
        try
        {
            using Socket monitorListener = Listen(sockets.File("qmp"));
            using Socket? serialListener = options.BootImage is null ? null : Listen(sockets.File("com1"));
            string[] command =
            [
                .. options.Wrapper,
                options.Executable ?? Executables.Qemu,
                .. options.Arguments(sockets.File("qmp"), serialListener is null ? null : sockets.File("com1")),
            ];
            process = ChildProcess.Start(options.Name, command[0], command[1..]);
            Socket? serial = serialListener is null ? null : await AcceptAsync(serialListener, process);
            QmpClient monitor = await QmpClient.OpenAsync(await AcceptAsync(monitorListener, process));
            QemuMachine machine = new(
                options, sockets, process, monitor, serial is null ? null : new NetworkStream(serial, ownsSocket: true));
            await machine.SetCapabilitiesAsync(("events", true));
            return machine;
        }
        catch
        {
            if (process is not null)
            {
                await process.DisposeAsync();
            }

            sockets.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Starts a QEMU from a migration stream in a file; it is paused when this returns, and its RAM is in
    /// <paramref name="options"/>.MemoryFile.
    /// </summary>
    /// <exception cref="InvalidOperationException">QEMU refused the stream.</exception>
    public static Task<QemuMachine> RestoreAsync(QemuOptions options, string capture) =>
        TakeAsync(options, $"exec:cat '{capture}'", static _ => Task.CompletedTask);

    /// <summary>
    /// Starts a QEMU that takes a migration; it is paused when this returns, and its RAM is in <paramref name="options"/>.MemoryFile.
    /// </summary>
    /// <param name="options">The machine.</param>
    /// <param name="incoming">What it listens at; with TCP port 0 at a free one.</param>
    /// <param name="send">Sends a machine to the URI that it is given.</param>
    /// <param name="capabilities">Capabilities of the migration, set before it listens.</param>
    /// <exception cref="InvalidOperationException">QEMU refused the stream.</exception>
    public static async Task<QemuMachine> TakeAsync(
        QemuOptions options, string incoming, Func<string, Task> send, params (string Name, bool On)[] capabilities)
    {
        QemuMachine machine = await StartAsync(options with { Incoming = "defer", Paused = true });
        try
        {
            await machine.SetCapabilitiesAsync(capabilities);
            await send(await machine.ListenAsync(incoming));
            QmpEvent end = await machine.MigrationEndAsync(0);
            return end.Status == "completed" ? machine : throw new InvalidOperationException($"{options.Name}: incoming {end.Status}");
        }
        catch (Exception e)
        {
            string said = machine._process.Errors;
            await machine.DisposeAsync();
            if (e is EndOfStreamException or InvalidOperationException)
            {
                throw new InvalidOperationException($"{options.Name} did not start from {incoming}: {said}", e);
            }

            throw;
        }
    }

    /// <summary>Begins to listen, for a machine with -incoming defer; with TCP port 0 at a free one.</summary>
    /// <returns>What a source migrates to.</returns>
    public async Task<string> ListenAsync(string uri)
    {
        await Monitor.ExecuteAsync("migrate-incoming", new { uri });
        return uri.EndsWith(":0", StringComparison.Ordinal) ? await SocketUriAsync() : uri;
    }

    public async Task SetCapabilitiesAsync(params (string Name, bool On)[] capabilities) =>
        await Monitor.ExecuteAsync(
            "migrate-set-capabilities",
            new { capabilities = capabilities.Select(c => new { capability = c.Name, state = c.On }).ToArray() });

    /// <summary>Sets max-bandwidth, in bytes a second, and the downtime limit, in milliseconds.</summary>
    public async Task SetLimitsAsync(long bytesPerSecond, int downtimeMilliseconds = 300) =>
        await Monitor.ExecuteAsync(
            "migrate-set-parameters",
            new Dictionary<string, object> { ["max-bandwidth"] = bytesPerSecond, ["downtime-limit"] = downtimeMilliseconds });

    /// <summary>Begins to migrate; the outcome comes from <see cref="MigrationOutcomeAsync"/>.</summary>
    public async Task StartMigrationAsync(string uri) => await Monitor.ExecuteAsync("migrate", new { uri });

    /// <summary>Migrates and waits for the end, good or bad.</summary>
    public async Task<MigrationOutcome> MigrateAsync(string uri)
    {
        int from = Monitor.Events.Count;
        await StartMigrationAsync(uri);
        return await MigrationOutcomeAsync(from);
    }

    public async Task<MigrationOutcome> MigrationOutcomeAsync(int from)
    {
        QmpEvent end = await MigrationEndAsync(from);
        JsonElement query = await Monitor.ExecuteAsync("query-migrate");
        if (end.Status == "completed")
        {
            // QEMU says "completed" before its migration thread has stored the times and stopped the machine for good.
            using CancellationTokenSource deadline = new(Deadlines.Answer);
            while (await RunStateAsync() != "postmigrate")
            {
                deadline.Token.ThrowIfCancellationRequested();
            }

            query = await Monitor.ExecuteAsync("query-migrate");
        }

        return MigrationOutcome.Parse(query);
    }

    public async Task<string> RunStateAsync() => (await Monitor.ExecuteAsync("query-status")).GetProperty("status").GetString()!;

    /// <summary>Lets the machine run.</summary>
    public async Task ContinueAsync() => await Monitor.ExecuteAsync("cont");

    /// <summary>Waits for a character that the guest writes to COM1.</summary>
    public async Task GuestWritesAsync()
    {
        NetworkStream serial = _serial ?? throw new InvalidOperationException($"{Options.Name} has no COM1");
        using CancellationTokenSource deadline = new(Deadlines.Start);
        await serial.ReadExactlyAsync(new byte[1], deadline.Token);
    }

    public Task<QmpEvent> MigrationEndAsync(int from) => Monitor.Events.FirstAsync(
        e => e is { Name: "MIGRATION", Status: "completed" or "failed" or "cancelled" }, from, Deadlines.Migration,
        $"end of migration at {Options.Name}");

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        await Monitor.DisposeAsync();
        if (_serial is not null)
        {
            await _serial.DisposeAsync();
        }

        _sockets.Dispose();
    }

    private async Task<string> SocketUriAsync()
    {
        JsonElement address = (await Monitor.ExecuteAsync("query-migrate")).GetProperty("socket-address")[0];
        string host = address.GetProperty("host").GetString()!;
        return $"tcp:{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{address.GetProperty("port").GetString()}";
    }

    private static Socket Listen(string path)
    {
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        return listener;
    }

    private static async Task<Socket> AcceptAsync(Socket listener, ChildProcess process)
    {
        using CancellationTokenSource stop = new(Deadlines.Start);
        Task<Socket> accepted = listener.AcceptAsync(stop.Token).AsTask();
        Task<int> exited = process.WaitForExitAsync(Deadlines.Start);
        if (await Task.WhenAny(accepted, exited) == accepted)
        {
            _ = exited.ContinueWith(
                static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            return await accepted;
        }

        await stop.CancelAsync();
        await Task.WhenAny(accepted);
        int exitCode = await exited;
        throw new InvalidOperationException($"{process.Name} ended with {exitCode}: {process.Errors}");
    }
}

/// <summary>What query-migrate said at the end, on the sending side.</summary>
public sealed record MigrationOutcome(
    string Status, TimeSpan TotalTime, TimeSpan SetupTime, TimeSpan Downtime,
    long RamTransferred, long RamTotal, int DirtySyncs, double MegabitsPerSecond, string? Error)
{
    public static MigrationOutcome Parse(JsonElement query)
    {
        JsonElement ram = query.TryGetProperty("ram", out JsonElement found) ? found : default;
        return new MigrationOutcome(
            query.GetProperty("status").GetString()!,
            TimeSpan.FromMilliseconds(Number(query, "total-time")),
            TimeSpan.FromMilliseconds(Number(query, "setup-time")),
            TimeSpan.FromMilliseconds(Number(query, "downtime")),
            (long)Number(ram, "transferred"),
            (long)Number(ram, "total"),
            (int)Number(ram, "dirty-sync-count"),
            Number(ram, "mbps"),
            query.TryGetProperty("error-desc", out JsonElement error) ? error.GetString() : null);
    }

    private static double Number(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : 0;
}
