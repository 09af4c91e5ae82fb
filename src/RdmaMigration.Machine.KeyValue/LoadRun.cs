using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace RdmaMigration.Machines.KeyValue;

/// <summary>A process for the load: where clients connect, and where the table arrives.</summary>
internal sealed record LoadNode(IPEndPoint EndPoint, string Uri)
{
    /// <summary>Reads <c>HOST:PORT=URI</c>.</summary>
    /// <exception cref="FormatException">It is not that.</exception>
    public static LoadNode Parse(string text)
    {
        int sign = text.IndexOf('=', StringComparison.Ordinal);
        return sign > 0 && IPEndPoint.TryParse(text[..sign], out IPEndPoint? endPoint)
            ? new LoadNode(endPoint, text[(sign + 1)..])
            : throw new FormatException($"'{text}' is not ADDRESS:PORT=URI, such as 127.0.0.1:7001=tcp:127.0.0.1:8001");
    }
}

/// <summary>
/// Clients that write without a pause while the table moves back and forth, and then the proof: every acknowledged write is there. Each client has its keys for
/// itself and waits for each acknowledgement, so the last value that was acknowledged is the one that must be there.
/// </summary>
/// <param name="nodes">The two processes; the table is at the first.</param>
/// <param name="clients">Clients at a time.</param>
/// <param name="keys">Keys of each client.</param>
/// <param name="output">For what happens.</param>
internal sealed class LoadRun(IReadOnlyList<LoadNode> nodes, int clients, int keys, TextWriter output)
{
    private readonly ConcurrentDictionary<string, string> _acknowledged = new();
    private readonly IReadOnlyList<IPEndPoint> _endPoints = [.. nodes.Select(node => node.EndPoint)];
    private long _writes;
    private long _longestTicks;

    /// <summary>Runs to the end.</summary>
    /// <param name="migrations">How often the table moves.</param>
    /// <param name="pause">Time between two migrations.</param>
    /// <param name="cancellation">Ends it early.</param>
    /// <returns>True when every migration succeeded and every acknowledged write is there.</returns>
    public async Task<bool> RunAsync(int migrations, TimeSpan pause, CancellationToken cancellation)
    {
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task[] writers = [.. Enumerable.Range(0, clients).Select(client => WriteAsync(client, enough.Token))];
        int done = await MoveAsync(migrations, pause, cancellation);
        await enough.CancelAsync();
        await Task.WhenAll(writers);
        int lost = await CountLostAsync(cancellation);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{done} migrations, {_writes} writes acknowledged, lost: {lost}; longest wait for an acknowledgement {Milliseconds(_longestTicks):0.0} ms"));
        return done == migrations && lost == 0;
    }

    private async Task<int> MoveAsync(int migrations, TimeSpan pause, CancellationToken cancellation)
    {
        using KeyValueClient client = new(_endPoints);
        for (int i = 0; i < migrations; i++)
        {
            await Task.Delay(pause, cancellation);
            LoadNode to = nodes[(i + 1) % nodes.Count];
            string answer = await client.AskAsync($"MIGRATE {to.Uri}", cancellation);
            string[] words = answer.Split(' ');
            if (words is not ["OK", var total, var downtime, var passes])
            {
                output.WriteLine($"migration {i + 1} to {to.EndPoint} failed: {answer}");
                return i;
            }

            output.WriteLine($"migration {i + 1} to {to.EndPoint}: {total} ms, downtime {downtime} ms, {passes} passes");
        }

        await Task.Delay(pause, cancellation);
        return migrations;
    }

    private async Task WriteAsync(int client, CancellationToken enough)
    {
        using KeyValueClient connection = new(_endPoints);
        for (long number = 0; !enough.IsCancellationRequested; number++)
        {
            string key = $"{client}-{number % keys}";
            string value = number.ToString(CultureInfo.InvariantCulture);
            long began = Stopwatch.GetTimestamp();

            // To its end: a write of which nobody knows whether it was executed would be no proof.
            string answer = await connection.AskAsync($"SET {key} {value}", CancellationToken.None);
            if (answer != "OK")
            {
                throw new IOException($"SET {key} was answered with '{answer}'");
            }

            _acknowledged[key] = value;
            Interlocked.Increment(ref _writes);
            long took = Stopwatch.GetTimestamp() - began;
            long longest;
            while (took > (longest = Interlocked.Read(ref _longestTicks)))
            {
                Interlocked.CompareExchange(ref _longestTicks, took, longest);
            }
        }
    }

    private async Task<int> CountLostAsync(CancellationToken cancellation)
    {
        using KeyValueClient client = new(_endPoints);
        int lost = 0;
        foreach ((string key, string value) in _acknowledged)
        {
            string answer = await client.AskAsync($"GET {key}", cancellation);
            if (answer != $"VALUE {value}")
            {
                lost++;
                output.WriteLine($"{key}: '{value}' was acknowledged, the answer is '{answer}'");
            }
        }

        return lost;
    }

    private static double Milliseconds(long ticks) => Stopwatch.GetElapsedTime(0, ticks).TotalMilliseconds;
}
