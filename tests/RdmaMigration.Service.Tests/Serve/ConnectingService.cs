using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Engine;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Service.Tests.Serve;

/// <summary>
/// A service with a small machine. The test decides when, and whether, its connections to destinations are established; those that are go to a file.
/// </summary>
internal sealed class ConnectingService : IAsyncDisposable
{
    private readonly WorkDirectory _work = new();
    private readonly MainLoop _loop = new();
    private readonly Thread _main;
    private readonly MachineProcess _process;
    private readonly TaskCompletionSource _connecting = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ServeMonitor _monitor;
    private QmpClient? _client;
    private int _before;

    private ConnectingService(string profile)
    {
        _process = new MachineProcess(_loop, Connect, NullLogger.Instance);
        ServeOptions options = new()
        {
            Monitor = Socket,
            Incoming = new ServeIncoming(Uri: null),
            Profile = QemuProfile.All.Single(one => one.Name == profile),
        };
        _monitor = new ServeMonitor(_process, _loop, new MonitoredKeptMachine(_process), options, NullLogger.Instance);
        _monitor.Ending += _ => _process.Quit();
        _main = new Thread(_loop.Run) { Name = "main", IsBackground = true };
        _main.Start();
    }

    /// <summary>Ends the connecting: established, or failed with an exception.</summary>
    public TaskCompletionSource Decision { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Done when it connects.</summary>
    public Task Connecting => _connecting.Task;

    /// <summary>A client.</summary>
    public QmpClient Monitor => _client!;

    private string Socket => _work.File("qmp");

    /// <summary>Starts one that has its machine.</summary>
    public static async Task<ConnectingService> StartAsync(string profile = "11.1")
    {
        ConnectingService service = new(profile);
        await service._loop.InvokeAsync(service._monitor.Open);
        service._client = await service.ConnectAsync();
        string machine = service._work.File("machine");
        await File.WriteAllBytesAsync(machine, StreamBuilder.SmallMachine());
        await service._client.ExecuteAsync(
            "migrate-set-capabilities", new { capabilities = new[] { new { capability = "events", state = true } } });
        await service._client.ExecuteAsync("migrate-incoming", new { uri = $"file:{machine}" });
        await service.EndAsync();
        service._before = service._client.Events.Count;
        return service;
    }

    /// <summary>A further client.</summary>
    public async Task<QmpClient> ConnectAsync(bool isOob = false)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Socket));
        return await QmpClient.OpenAsync(socket, isOob);
    }

    /// <summary>Waits for the end of a migration.</summary>
    public async Task EndAsync() => await Monitor.Events.FirstAsync(
        said => said is { Name: "MIGRATION", Status: "completed" or "failed" or "cancelled" }, _before, Deadlines.Answer, "the end of the migration");

    /// <summary>The statuses that the events of the sending had so far.</summary>
    public string Statuses() => string.Join(' ', Monitor.Events.Snapshot().Skip(_before).Where(said => said.Name == "MIGRATION").Select(said => said.Status));

    /// <summary>The main loop has ended.</summary>
    public void WaitForEnd() => Assert.True(_main.Join(Deadlines.Answer));

    public async ValueTask DisposeAsync()
    {
        _process.Quit();
        WaitForEnd();
        await _monitor.CloseAsync();
        if (_client is not null)
        {
            await _client.DisposeAsync();
        }

        _process.Dispose();
        _work.Dispose();
    }

    private OutgoingChannel Connect(OutgoingOptions options, CancellationToken cancel)
    {
        _connecting.TrySetResult();
        Decision.Task.WaitAsync(cancel).GetAwaiter().GetResult();
        return DescriptorOutgoingChannel.Open(new FileUri(_work.File("sent")), options.Parameters.ForDescriptors(options.Source), cancel);
    }
}
