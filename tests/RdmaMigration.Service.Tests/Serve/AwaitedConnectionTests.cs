using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Service.Tests.Serve;

/// <summary>Over RDMA the reply of migrate waits for the connection. ServeRdmaTests of the interop suite has a device, and a QEMU beside the service.</summary>
public sealed class AwaitedConnectionTests
{
    private const string Destination = "rdma:10.0.0.1:4444";

    [Fact]
    public async Task The_reply_of_migrate_waits_until_the_destination_accepts_and_other_clients_are_answered()
    {
        await using ConnectingService service = await ConnectingService.StartAsync();
        await using QmpClient other = await service.ConnectAsync();

        Task migrate = await BeginAsync(service);
        Assert.Equal("setup", await StatusAsync(other));
        Assert.Equal("There's a migration process in progress", await RefusedAsync(other.ExecuteAsync(
            "migrate-set-capabilities", new { capabilities = new[] { new { capability = "events", state = true } } })));
        Assert.False(migrate.IsCompleted);
        service.Decision.SetResult();
        await migrate;

        await service.EndAsync();
        Assert.Equal(("completed", "setup active device completed"), (await StatusAsync(other), service.Statuses()));
    }

    [Theory]
    [InlineData("7.2", "setup failed")]
    [InlineData("11.1", "setup failing failed")]
    public async Task The_reply_has_the_error_of_query_migrate_when_the_destination_refuses(string profile, string events)
    {
        await using ConnectingService service = await ConnectingService.StartAsync(profile);

        Task migrate = await BeginAsync(service);
        service.Decision.SetException(new ConnectFailedException("nobody listens there"));

        Assert.Equal("nobody listens there", await RefusedAsync(migrate));
        Assert.Equal(events, service.Statuses());
        Assert.Equal("nobody listens there", (await service.Monitor.ExecuteAsync("query-migrate")).GetProperty("error-desc").GetString());

        // The service is idle: the next one is tried, and finds the same.
        Assert.Equal("nobody listens there", await RefusedAsync(service.Monitor.ExecuteAsync("migrate", new { uri = Destination })));
    }

    [Fact]
    public async Task A_cancel_of_another_client_ends_the_wait_with_an_error()
    {
        await using ConnectingService service = await ConnectingService.StartAsync();
        await using QmpClient other = await service.ConnectAsync();

        Task migrate = await BeginAsync(service);
        await other.ExecuteAsync("migrate_cancel");

        Assert.Contains("cancelled", await RefusedAsync(migrate), StringComparison.Ordinal);
        Assert.Equal(("cancelled", "setup cancelling cancelled"), (await StatusAsync(other), service.Statuses()));
    }

    [Fact]
    public async Task A_yank_of_another_client_ends_the_wait_with_an_error()
    {
        await using ConnectingService service = await ConnectingService.StartAsync();
        await using QmpClient other = await service.ConnectAsync(isOob: true);

        Task migrate = await BeginAsync(service);
        await other.ExecuteOutOfBandAsync("yank", new { instances = new[] { new { type = "migration" } } });

        Assert.Contains("yanked", await RefusedAsync(migrate), StringComparison.Ordinal);
        Assert.Equal("failed", await StatusAsync(other));
    }

    [Fact]
    public async Task A_quit_ends_the_wait_and_the_process()
    {
        await using ConnectingService service = await ConnectingService.StartAsync();
        await using QmpClient other = await service.ConnectAsync();

        Task migrate = await BeginAsync(service);
        await other.ExecuteAsync("quit");

        Assert.Contains("cancelled", await RefusedAsync(migrate), StringComparison.Ordinal);
        service.WaitForEnd();
    }

    [Fact]
    public async Task Over_a_socket_the_reply_does_not_wait()
    {
        await using ConnectingService service = await ConnectingService.StartAsync();

        await service.Monitor.ExecuteAsync("migrate", new { uri = "tcp:10.0.0.1:4444" });

        Assert.Equal("setup", await StatusAsync(service.Monitor));
        service.Decision.SetException(new ConnectFailedException("nobody listens there"));
        await service.EndAsync();
        Assert.Equal("setup failing failed", service.Statuses());
    }

    /// <summary>Sends migrate and returns when the service connects.</summary>
    /// <returns>The reply.</returns>
    private static async Task<Task> BeginAsync(ConnectingService service)
    {
        Task migrate = service.Monitor.ExecuteAsync("migrate", new { uri = Destination });
        await service.Connecting.WaitAsync(Deadlines.Answer, TestContext.Current.CancellationToken);
        return migrate;
    }

    private static async Task<string> RefusedAsync(Task command)
    {
        QmpException refused = await Assert.ThrowsAsync<QmpException>(() => command);
        Assert.Equal("GenericError", refused.ErrorClass);
        return refused.Reason;
    }

    private static async Task<string?> StatusAsync(QmpClient monitor) =>
        (await monitor.ExecuteAsync("query-migrate")).GetProperty("status").GetString();
}
