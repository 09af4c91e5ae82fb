using System.Globalization;
using System.Net;
using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Machines.KeyValue.Tests;

/// <summary>The key-value example: two processes, and clients that write while the table moves between them.</summary>
public sealed class KeyValueTests
{
    [Fact]
    public Task Ten_migrations_there_and_back_under_load_lose_no_acknowledged_write() => ProveAsync("tcp:127.0.0.1", FreePort, mebibytes: 64, clients: 4);

    /// <summary>A small table and one client: an emulated device shares its processors with both.</summary>
    [Fact]
    [Trait("needs", "rdma")]
    public Task Ten_migrations_over_RDMA_lose_no_acknowledged_write() =>
        ProveAsync($"rdma:{RdmaAddress.V4}", RdmaAddress.NextPort, mebibytes: 8, clients: 1);

    [Fact]
    public void A_table_keeps_values_up_to_its_last_slot()
    {
        using Machine machine = new(new MachineOptions { Name = "table-1" });
        KeyValueTable table = new(machine.AddRam("table", MachineRam.PageSize));
        for (int i = 0; i < 16; i++)
        {
            Assert.True(table.TrySet($"key {i}", $"{i}"));
        }

        Assert.False(table.TrySet("one more", "1"));
        Assert.True(table.TrySet("key 3", "another"));
        Assert.Equal((16UL, "another", "15", (string?)null), (table.Entries, table.Get("key 3"), table.Get("key 15"), table.Get("one more")));
    }

    private static async Task ProveAsync(string address, Func<int> port, int mebibytes, int clients)
    {
        (int first, int second) = (FreePort(), FreePort());
        (string firstUri, string secondUri) = ($"{address}:{port()}", $"{address}:{port()}");
        string ram = mebibytes.ToString(CultureInfo.InvariantCulture);
        await using ChildProcess here = await ServeAsync(first, second, firstUri, "--ram", ram);
        await using ChildProcess there = await ServeAsync(second, first, secondUri, "--ram", ram, "--empty");
        (int exitCode, string output) = await ChildProcess.RunAsync(
            Program,
            "load",
            $"127.0.0.1:{first}={firstUri}",
            $"127.0.0.1:{second}={secondUri}",
            "--pause",
            "0.2",
            "--clients",
            clients.ToString(CultureInfo.InvariantCulture));

        TestContext.Current.TestOutputHelper?.WriteLine(output);
        Assert.True(exitCode == 0, $"{output}\n{here.Errors}\n{there.Errors}");
        Assert.Contains("10 migrations, ", output, StringComparison.Ordinal);
        Assert.Contains("lost: 0", output, StringComparison.Ordinal);
    }

    private static string Program => Path.Combine(AppContext.BaseDirectory, "rdmamig-kv");

    private static async Task<ChildProcess> ServeAsync(int port, int peer, string receive, params string[] options)
    {
        TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ChildProcess server = ChildProcess.Start(
            "rdmamig-kv",
            Program,
            ["serve", "--listen", $"127.0.0.1:{port}", "--peer", $"127.0.0.1:{peer}", "--receive", receive, .. options],
            _ => ready.TrySetResult());
        await ready.Task.WaitAsync(Deadlines.Start);
        return server;
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
