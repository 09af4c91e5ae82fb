using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace RdmaMigration.Machines.KeyValue;

/// <summary>A request to move the table, from a client.</summary>
/// <param name="Uri">Where to.</param>
/// <param name="Answer">Takes the line that the client gets.</param>
internal sealed record MoveRequest(string Uri, TaskCompletionSource<string> Answer);

/// <summary>
/// Serves the table to clients over TCP, a line for each request and a line for each answer: SET KEY VALUE, GET KEY, COUNT, MIGRATE URI. It is the program of
/// the machine: it executes requests only while the machine runs here. During a switchover requests wait; where the table is elsewhere they are answered with
/// MOVED.
/// </summary>
internal sealed class KeyValueServer(KeyValueTable table, IPEndPoint peer) : IMachineProgram
{
    private readonly Lock _gate = new();
    private readonly Channel<MoveRequest> _moves = Channel.CreateUnbounded<MoveRequest>();
    private bool _isRunning;
    private bool _isElsewhere = true;
    private TaskCompletionSource _changed = NewSignal();

    /// <summary>Requests to move the table.</summary>
    public ChannelReader<MoveRequest> Moves => _moves.Reader;

    /// <inheritdoc/>
    public void Start() => Change(isRunning: true, isElsewhere: false);

    /// <inheritdoc/>
    public void Stop() => Change(isRunning: false, isElsewhere: false);

    /// <summary>The table runs at the other process from now on.</summary>
    public void MovedAway() => Change(isRunning: false, isElsewhere: true);

    /// <summary>Serves clients until cancelled.</summary>
    public async Task ServeAsync(TcpListener listener, CancellationToken cancellation)
    {
        while (true)
        {
            Socket client = await listener.AcceptSocketAsync(cancellation);
            _ = ServeAsync(client, cancellation);
        }
    }

    private async Task ServeAsync(Socket client, CancellationToken cancellation)
    {
        client.NoDelay = true;
        using NetworkStream stream = new(client, ownsSocket: true);
        using StreamReader reader = new(stream);
        await using StreamWriter writer = new(stream) { AutoFlush = true };
        try
        {
            while (await reader.ReadLineAsync(cancellation) is { } line)
            {
                await writer.WriteLineAsync((await AnswerAsync(line)).AsMemory(), cancellation);
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException)
        {
            // The client has disconnected, or the server ends. An unacknowledged write is the client's to repeat.
        }
    }

    /// <summary>Answers a request; waits while the table moves.</summary>
    internal async Task<string> AnswerAsync(string line)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (_isElsewhere)
                {
                    return $"MOVED {peer}";
                }

                if (_isRunning && !line.StartsWith("MIGRATE ", StringComparison.Ordinal))
                {
                    return Execute(line);
                }

                changed = _changed.Task;
            }

            if (line.StartsWith("MIGRATE ", StringComparison.Ordinal))
            {
                MoveRequest move = new(line["MIGRATE ".Length..], new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously));
                await _moves.Writer.WriteAsync(move);
                return await move.Answer.Task;
            }

            await changed;
        }
    }

    private string Execute(string line)
    {
        string[] words = line.Split(' ', 3);
        try
        {
            return words switch
            {
                ["SET", var key, var value] => table.TrySet(key, value) ? "OK" : "ERR the table is full",
                ["GET", var key] => table.Get(key) is { } value ? $"VALUE {value}" : "NONE",
                ["COUNT"] => $"VALUE {table.Entries}",
                _ => "ERR want SET KEY VALUE, GET KEY, COUNT or MIGRATE URI",
            };
        }
        catch (FormatException wrong)
        {
            return $"ERR {wrong.Message}";
        }
    }

    private void Change(bool isRunning, bool isElsewhere)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            (_isRunning, _isElsewhere) = (isRunning, isElsewhere);
            (changed, _changed) = (_changed, NewSignal());
        }

        changed.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
