using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using RdmaMigration.Linux;

namespace RdmaMigration.Testing;

/// <summary>Something that a QMP server said unasked: <paramref name="Time"/> by itself, <see cref="Seen"/> here.</summary>
public sealed record QmpEvent(string Name, DateTimeOffset Time, JsonElement Values)
{
    public DateTimeOffset Seen { get; } = DateTimeOffset.UtcNow;

    public string? Status => Values.ValueKind == JsonValueKind.Object && Values.TryGetProperty("status", out JsonElement status)
        ? status.GetString()
        : null;

    /// <summary>Reads the members that QMP events and `rdmamig --json` lines share: timestamp, event, data.</summary>
    public static QmpEvent Parse(JsonElement message)
    {
        JsonElement time = message.GetProperty("timestamp");
        DateTimeOffset at = DateTimeOffset.UnixEpoch
            .AddSeconds(time.GetProperty("seconds").GetInt64())
            .AddMicroseconds(time.GetProperty("microseconds").GetInt64());
        return new QmpEvent(
            message.GetProperty("event").GetString()!, at, message.TryGetProperty("data", out JsonElement values) ? values.Clone() : default);
    }

    public override string ToString() => $"{Name} {(Values.ValueKind == JsonValueKind.Undefined ? "" : Values.GetRawText())}";
}

/// <summary>A QMP command was refused; class and message are QEMU's.</summary>
public sealed class QmpException(string command, string errorClass, string reason) : IOException($"{command}: {reason}")
{
    public string ErrorClass { get; } = errorClass;

    public string Reason { get; } = reason;
}

/// <summary>A QMP session over a connected socket: one command at a time, events kept in <see cref="Events"/>.</summary>
public sealed class QmpClient : IAsyncDisposable
{
    private readonly NetworkStream _stream;
    private readonly Task _reader;
    private readonly SemaphoreSlim _oneCommand = new(1);
    private readonly EventLog<JsonElement> _answers = new();
    private int _answered;

    private QmpClient(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = Task.Run(ReadAsync);
    }

    public EventLog<QmpEvent> Events { get; } = new();

    /// <summary>Takes over <paramref name="socket"/> and negotiates.</summary>
    /// <param name="socket">Connected to a monitor.</param>
    /// <param name="isOob">Enables oob.</param>
    public static async Task<QmpClient> OpenAsync(Socket socket, bool isOob = false)
    {
        QmpClient client = new(socket);
        await client.ExecuteAsync("qmp_capabilities", isOob ? new { enable = new[] { "oob" } } : null);
        return client;
    }

    /// <summary>Runs a command and returns its "return" member.</summary>
    /// <param name="command">The command.</param>
    /// <param name="arguments">Its arguments; null for none.</param>
    /// <param name="passed">A descriptor to pass with it; it stays open here.</param>
    /// <exception cref="QmpException">The server refused it.</exception>
    /// <exception cref="EndOfStreamException">The server went away.</exception>
    public Task<JsonElement> ExecuteAsync(string command, object? arguments = null, SafeHandle? passed = null) =>
        SendAsync("execute", command, arguments, passed);

    /// <summary>Runs a command out of band. The session has oob enabled.</summary>
    /// <param name="command">The command.</param>
    /// <param name="arguments">Its arguments; null for none.</param>
    /// <exception cref="QmpException">The server refused it.</exception>
    public Task<JsonElement> ExecuteOutOfBandAsync(string command, object? arguments = null) => SendAsync("exec-oob", command, arguments, passed: null);

    private async Task<JsonElement> SendAsync(string verb, string command, object? arguments, SafeHandle? passed)
    {
        Dictionary<string, object> members = new() { [verb] = command };
        if (arguments is not null)
        {
            members["arguments"] = arguments;
        }

        byte[] request = JsonSerializer.SerializeToUtf8Bytes(members);
        await _oneCommand.WaitAsync();
        try
        {
            try
            {
                if (passed is null)
                {
                    await _stream.WriteAsync(request);
                }
                else
                {
                    int sent = SocketMessage.Send((int)_stream.Socket.Handle, request, (int)passed.DangerousGetHandle()).OrThrow("sendmsg");
                    await _stream.WriteAsync(request.AsMemory(sent));
                }
            }
            catch (IOException e)
            {
                throw new EndOfStreamException($"{command}: the monitor is gone", e);
            }

            JsonElement answer = await _answers.FirstAsync(_ => true, _answered, Deadlines.Answer, $"answer to {command}");
            _answered++;
            return answer.TryGetProperty("error", out JsonElement error)
                ? throw new QmpException(command, error.GetProperty("class").GetString()!, error.GetProperty("desc").GetString()!)
                : answer.GetProperty("return");
        }
        finally
        {
            _oneCommand.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await _reader;
        _oneCommand.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            using StreamReader reader = new(_stream, Encoding.UTF8, leaveOpen: true);
            while (await reader.ReadLineAsync() is { } line)
            {
                using JsonDocument document = JsonDocument.Parse(line);
                JsonElement message = document.RootElement;
                if (message.TryGetProperty("event", out _))
                {
                    Events.Add(QmpEvent.Parse(message));
                }
                else if (!message.TryGetProperty("QMP", out _))
                {
                    _answers.Add(message.Clone());
                }
            }

            End("the monitor closed its socket");
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or JsonException)
        {
            End(e.Message);
        }
    }

    private void End(string why)
    {
        Events.End(why);
        _answers.End(why);
    }
}
