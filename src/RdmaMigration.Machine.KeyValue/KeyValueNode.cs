using System.Globalization;
using System.Net;
using System.Net.Sockets;
using RdmaMigration.Linux;

namespace RdmaMigration.Machines.KeyValue;

/// <summary>What a process is started with.</summary>
/// <param name="Listen">Where clients connect.</param>
/// <param name="Peer">Where clients find the table when it is not here.</param>
/// <param name="Receive">Where the table arrives.</param>
/// <param name="IsEmpty">The table is elsewhere at first.</param>
/// <param name="Ram">Bytes of RAM for the table.</param>
/// <param name="Parameters">Of migrations that send, by name.</param>
internal sealed record NodeOptions(
    IPEndPoint Listen, IPEndPoint Peer, string Receive, bool IsEmpty, ulong Ram, IReadOnlyDictionary<string, string> Parameters);

/// <summary>
/// One of the two processes that the table moves between: the machine with the table, the server, and what moves the machine when a client asks.
/// </summary>
internal sealed class KeyValueNode(NodeOptions options, TextWriter output)
{
    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using Machine machine = new(new MachineOptions { Name = "key-value-1" });
        KeyValueTable table = new(machine.AddRam("table", options.Ram));
        machine.AddDevice(KeyValueTable.Description, table);
        KeyValueServer server = new(table, options.Peer);
        machine.Program = server;

        using TcpListener listener = new(options.Listen);
        listener.Start();
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task serving = server.ServeAsync(listener, ended.Token);
        Task moving = MoveAsync(machine, server, ended.Token);

        // Whichever ends first ends the other.
        Task first = await Task.WhenAny(serving, moving);
        await ended.CancelAsync();
        await Task.WhenAll(serving, moving).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        await first;
    }

    private async Task MoveAsync(Machine machine, KeyValueServer server, CancellationToken cancellation)
    {
        if (options.IsEmpty)
        {
            await ArriveAsync(machine, () => { }, cancellation);
        }
        else
        {
            await machine.StartAsync();
            output.WriteLine("the table is here");
        }

        while (true)
        {
            MoveRequest request = await server.Moves.ReadAsync(cancellation);
            try
            {
                MachineMigration moved = await machine.MigrateAsync(request.Uri, options.Parameters, cancellation);
                output.WriteLine("the table has moved away");
                server.MovedAway();

                // Answered once the table can come back.
                string answer = string.Create(
                    CultureInfo.InvariantCulture, $"OK {moved.TotalTime.TotalMilliseconds:0} {moved.Downtime?.TotalMilliseconds:0.0} {moved.Iterations}");
                await ArriveAsync(machine, () => request.Answer.SetResult(answer), cancellation);
            }
            catch (Exception failed) when (failed is MigrationException or ArgumentException && machine.State is MachineState.Running)
            {
                output.WriteLine($"the table stays here: {failed.Message}");
                request.Answer.SetResult($"ERR {failed.Message}");
            }
        }
    }

    private async Task ArriveAsync(Machine machine, Action listening, CancellationToken cancellation)
    {
        await machine.ReceiveAsync(
            options.Receive,
            listening: uri =>
            {
                output.WriteLine($"waiting for the table on {uri}");
                listening();
            },
            cancellation: cancellation);
        output.WriteLine("the table is here");
    }
}
