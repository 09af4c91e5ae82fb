using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Machines.KeyValue;

/// <summary>A client that follows the table: to where an answer sends it, and to the other process when a connection breaks.</summary>
/// <param name="nodes">The processes.</param>
internal sealed class KeyValueClient(IReadOnlyList<IPEndPoint> nodes) : IDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(2);

    private IPEndPoint _node = nodes[0];
    private TcpClient? _connection;
    private StreamReader? _reader;
    private StreamWriter? _writer;

    /// <summary>
    /// Sends a request until a process that has the table answers it. A request that is repeated has been executed at most twice, with the same effect.
    /// </summary>
    public async Task<string> AskAsync(string request, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                string? answer = await TryAskAsync(request, cancellation);
                if (answer is null)
                {
                    await GoToAsync(Other(), cancellation);
                }
                else if (answer.StartsWith("MOVED ", StringComparison.Ordinal))
                {
                    await GoToAsync(IPEndPoint.Parse(answer["MOVED ".Length..]), cancellation);
                }
                else
                {
                    return answer;
                }
            }
            catch (Exception broken) when (broken is IOException or SocketException)
            {
                await GoToAsync(Other(), cancellation);
            }
        }
    }

    public void Dispose() => Disconnect();

    private async Task<string?> TryAskAsync(string request, CancellationToken cancellation)
    {
        if (_connection is null)
        {
            _connection = new TcpClient(_node.AddressFamily) { NoDelay = true };
            await _connection.ConnectAsync(_node, cancellation);
            _reader = new StreamReader(_connection.GetStream());
            _writer = new StreamWriter(_connection.GetStream()) { AutoFlush = true };
        }

        await _writer!.WriteLineAsync(request.AsMemory(), cancellation);
        return await _reader!.ReadLineAsync(cancellation);
    }

    /// <summary>Neither process may have the table at the moment, so another attempt waits a little.</summary>
    private async Task GoToAsync(IPEndPoint node, CancellationToken cancellation)
    {
        Disconnect();
        _node = node;
        await Task.Delay(s_pause, cancellation);
    }

    private IPEndPoint Other() => nodes.FirstOrDefault(node => !node.Equals(_node)) ?? _node;

    private void Disconnect()
    {
        _connection?.Dispose();
        _connection = null;
    }
}
