using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using System.Threading.Channels;
using RdmaMigration.Linux;

namespace RdmaMigration.Qmp.Client;

/// <summary>
/// A client of a QMP monitor, of a QEMU or of <c>rdmamig serve</c>. Several tasks may execute commands at once; each gets the answer with the id of its
/// request. When the connection is lost, every command and <see cref="Events"/> end with the same exception.
/// </summary>
internal sealed class QmpClient : IAsyncDisposable
{
    /// <summary>
    /// Events that wait to be read. The oldest is dropped for a further one: a source that cannot converge sends thousands of MIGRATION_PASS a second.
    /// </summary>
    public const int MaximumEvents = 1024;

    private readonly Stream _stream;
    private readonly QmpLineReader _lines;
    private readonly TimeSpan _answerTimeout;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly ConcurrentDictionary<long, TaskCompletionSource<JsonElement>> _waiting = new();
    private readonly Channel<QmpEvent> _events = Channel.CreateBounded<QmpEvent>(
        new BoundedChannelOptions(MaximumEvents) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true });

    private readonly CancellationTokenSource _closed = new();
    private Task _reading = Task.CompletedTask;
    private volatile QmpClientException? _lost;
    private long _id;

    private QmpClient(string path, Stream stream, TimeSpan answerTimeout)
    {
        Path = path;
        _stream = stream;
        _lines = new QmpLineReader(_stream);
        _answerTimeout = answerTimeout;
    }

    /// <summary>The monitor's socket, or what it is called in messages.</summary>
    public string Path { get; }

    /// <summary>The version that the greeting names, as <c>7.2.22</c>; empty when it names none.</summary>
    public string Version { get; private set; } = "";

    /// <summary>The events from now on. It ends with a <see cref="QmpClientException"/> when the connection is lost.</summary>
    public ChannelReader<QmpEvent> Events => _events.Reader;

    /// <summary>Connects, waits for the greeting, and negotiates.</summary>
    /// <param name="path">The monitor's UNIX socket.</param>
    /// <param name="greetingTimeout">How long the greeting may take; above zero.</param>
    /// <param name="answerTimeout">How long each answer may take; above zero. QEMU answers nothing while it connects over RDMA and registers memory.</param>
    /// <param name="end">Gives up.</param>
    /// <exception cref="QmpClientException">There is no monitor, it serves another client, or the peer does not speak QMP.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="end"/> was cancelled.</exception>
    public static async Task<QmpClient> ConnectAsync(string path, TimeSpan greetingTimeout, TimeSpan answerTimeout, CancellationToken end) =>
        await NegotiateAsync(path, await OpenAsync(path, end).ConfigureAwait(false), greetingTimeout, answerTimeout, end).ConfigureAwait(false);

    /// <summary>As <see cref="ConnectAsync"/>, over a connection that is there.</summary>
    /// <param name="name">What the monitor is called in messages.</param>
    /// <param name="stream">The connection; the client's from here on.</param>
    /// <param name="greetingTimeout">How long the greeting may take.</param>
    /// <param name="answerTimeout">How long each answer may take.</param>
    /// <param name="end">Gives up.</param>
    /// <exception cref="QmpClientException">The peer has gone, or does not speak QMP.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="end"/> was cancelled.</exception>
    public static async Task<QmpClient> NegotiateAsync(
        string name, Stream stream, TimeSpan greetingTimeout, TimeSpan answerTimeout, CancellationToken end)
    {
        QmpClient client = new(name, stream, answerTimeout);
        try
        {
            await client.GreetAsync(greetingTimeout, end).ConfigureAwait(false);
            client._reading = client.ReadAsync();
            await client.ExecuteAsync("qmp_capabilities", arguments: null, end).ConfigureAwait(false);
            return client;
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Executes a command.</summary>
    /// <param name="command">Its name.</param>
    /// <param name="arguments">Writes the members of the arguments; null for none.</param>
    /// <param name="end">Gives up waiting; the command may be executed all the same.</param>
    /// <returns>The value of "return".</returns>
    /// <exception cref="QmpCommandException">The monitor answered with an error.</exception>
    /// <exception cref="QmpClientException">The connection is lost, or the answer did not come in time.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="end"/> was cancelled.</exception>
    public async Task<JsonElement> ExecuteAsync(string command, Action<Utf8JsonWriter>? arguments = null, CancellationToken end = default)
    {
        long id = Interlocked.Increment(ref _id);
        TaskCompletionSource<JsonElement> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting[id] = answer;
        try
        {
            await SendAsync(command, Request(command, arguments, id), end).ConfigureAwait(false);
            if (_lost is { } lost)
            {
                throw Lost(command, lost);
            }

            return Result(command, await answer.Task.WaitAsync(_answerTimeout, end).ConfigureAwait(false));
        }
        catch (TimeoutException late)
        {
            throw new QmpClientException(
                FailureReason.Timeout, Path, command, Invariant($"{command}: '{Path}' did not answer within {_answerTimeout.TotalSeconds} s"), late);
        }
        catch (QmpClientException lost) when (lost.Step != command)
        {
            throw Lost(command, lost);
        }
        finally
        {
            _waiting.TryRemove(id, out _);
        }
    }

    /// <summary>Disconnects. Commands that wait end with a <see cref="QmpClientException"/>.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_closed.IsCancellationRequested)
        {
            return;
        }

        await _closed.CancelAsync().ConfigureAwait(false);
        await _stream.DisposeAsync().ConfigureAwait(false);
        await _reading.ConfigureAwait(false);
        _closed.Dispose();
        _writing.Dispose();
    }

    private static async Task<NetworkStream> OpenAsync(string path, CancellationToken end)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), end).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (Exception failed) when (failed is SocketException or ArgumentException)
        {
            socket.Dispose();
            throw new QmpClientException(
                FailureReason.Unreachable, path, "connect", $"cannot connect to QMP monitor '{path}': {Explain(path, failed)}", failed);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string Explain(string path, Exception failed) => (failed, FileStatus.Named(path)) switch
    {
        (ArgumentException, _) => "the path is empty or too long for a UNIX domain socket (107 bytes)",
        (SocketException { SocketErrorCode: SocketError.AccessDenied }, _) => "permission denied; run as the user of the process that listens, or as root",
        (_, null) => "no such file; start QEMU with -qmp unix:PATH,server=on,wait=off, or rdmamig serve with --qmp PATH",
        (_, { Type: not (FileStatus.Socket or FileStatus.Link) }) => "the file is not a socket",
        (SocketException { SocketErrorCode: SocketError.ConnectionRefused }, _) => "no process listens there any more",
        (SocketException { SocketErrorCode: SocketError.WouldBlock or SocketError.TryAgain }, _) => "too many clients wait there",
        _ => failed.Message,
    };

    private static byte[] Request(string command, Action<Utf8JsonWriter>? arguments, long id)
    {
        ArrayBufferWriter<byte> request = new();
        using Utf8JsonWriter writer = new(request);
        writer.WriteStartObject();
        writer.WriteString("execute", command);
        if (arguments is not null)
        {
            writer.WriteStartObject("arguments");
            arguments(writer);
            writer.WriteEndObject();
        }

        writer.WriteNumber("id", id);
        writer.WriteEndObject();
        writer.Flush();
        request.Write("\n"u8);
        return request.WrittenSpan.ToArray();
    }

    private async Task GreetAsync(TimeSpan timeout, CancellationToken end)
    {
        const string step = "greeting";
        using CancellationTokenSource due = CancellationTokenSource.CreateLinkedTokenSource(end);
        due.CancelAfter(timeout);
        string came;
        try
        {
            ReadOnlyMemory<byte>? line = await _lines.ReadAsync(due.Token).ConfigureAwait(false);
            if (line is { } text && Parse(text) is { } greeting && greeting.TryGetProperty("QMP", out JsonElement qmp))
            {
                Version = ReadVersion(qmp);
                return;
            }

            string shown = line is { } other ? QmpLineReader.Show(other.Span) : _lines.Pending;
            came = shown.Length > 0 ? $"sent '{shown}'" : "disconnected";
        }
        catch (OperationCanceledException) when (!end.IsCancellationRequested && _lines.Pending.Length == 0)
        {
            throw new QmpClientException(FailureReason.Timeout, Path, step, Invariant($"no QMP greeting from '{Path}' within {timeout.TotalSeconds} s: ")
                + "a QEMU serves one client for each -qmp socket; disconnect the other client, or use another -qmp socket");
        }
        catch (OperationCanceledException) when (!end.IsCancellationRequested)
        {
            came = $"sent '{_lines.Pending}'";
        }
        catch (Exception failed) when (failed is IOException or InvalidDataException)
        {
            came = $"disconnected ({failed.Message})";
        }

        throw new QmpClientException(FailureReason.Protocol, Path, step, $"'{Path}' is no QMP monitor: instead of a greeting the peer {came}");
    }

    private static string ReadVersion(JsonElement qmp)
    {
        return qmp.ValueKind is JsonValueKind.Object && qmp.TryGetProperty("version", out JsonElement version) && version.ValueKind is JsonValueKind.Object
            && version.TryGetProperty("qemu", out JsonElement qemu) && qemu.ValueKind is JsonValueKind.Object
            ? $"{Part("major")}.{Part("minor")}.{Part("micro")}"
            : "";

        string Part(string name) => qemu.TryGetProperty(name, out JsonElement part) ? part.ToString() : "?";
    }

    private async Task SendAsync(string command, byte[] request, CancellationToken end)
    {
        await _writing.WaitAsync(end).ConfigureAwait(false);
        try
        {
            // A request that is cut off would spoil all that follow: it is not cancelled by the caller.
            await _stream.WriteAsync(request, _closed.Token).ConfigureAwait(false);
            await _stream.FlushAsync(_closed.Token).ConfigureAwait(false);
        }
        catch (Exception failed) when (failed is IOException or ObjectDisposedException or OperationCanceledException)
        {
            throw new QmpClientException(FailureReason.Disconnected, Path, command, $"{command}: the process at '{Path}' has disconnected", failed);
        }
        finally
        {
            _writing.Release();
        }
    }

    private JsonElement Result(string command, JsonElement answer)
    {
        if (answer.TryGetProperty("error", out JsonElement error) && error.ValueKind is JsonValueKind.Object)
        {
            throw new QmpCommandException(Path, command, Text(error, "class"), Text(error, "desc"));
        }

        return answer.TryGetProperty("return", out JsonElement value)
            ? value
            : throw new QmpClientException(FailureReason.Protocol, Path, command, $"{command}: '{Path}' answered without return and without error");

        static string Text(JsonElement error, string name) => error.TryGetProperty(name, out JsonElement text) ? text.ToString() : "none";
    }

    private QmpClientException Lost(string command, QmpClientException lost) => new(lost.Reason, Path, command, $"{command}: {lost.Message}", lost);

    private async Task ReadAsync()
    {
        QmpClientException lost;
        try
        {
            while (await _lines.ReadAsync(_closed.Token).ConfigureAwait(false) is { } line)
            {
                Take(line);
            }

            lost = Broken(FailureReason.Disconnected, $"the process at '{Path}' has disconnected", inner: null);
        }
        catch (Exception failed) when (failed is IOException or ObjectDisposedException or OperationCanceledException)
        {
            lost = failed as QmpClientException ?? Broken(FailureReason.Disconnected, $"the process at '{Path}' has disconnected", failed);
        }
        catch (InvalidDataException tooLong)
        {
            lost = Broken(FailureReason.Protocol, $"'{Path}' sent {tooLong.Message}", tooLong);
        }

        _lost = lost;
        _events.Writer.TryComplete(lost);
        foreach (TaskCompletionSource<JsonElement> waiting in _waiting.Values)
        {
            waiting.TrySetException(lost);
        }
    }

    private QmpClientException Broken(FailureReason reason, string message, Exception? inner) => new(reason, Path, "read", message, inner);

    private void Take(ReadOnlyMemory<byte> line)
    {
        if (Parse(line) is not { } message)
        {
            throw Broken(FailureReason.Protocol, $"'{Path}' sent '{QmpLineReader.Show(line.Span)}', which is not a JSON object", inner: null);
        }

        if (message.TryGetProperty("event", out JsonElement name) && name.ValueKind is JsonValueKind.String)
        {
            _events.Writer.TryWrite(new QmpEvent(name.GetString()!, message.TryGetProperty("data", out JsonElement data) ? data : default));
        }
        else if (message.TryGetProperty("id", out JsonElement id) && id.ValueKind is JsonValueKind.Number && id.TryGetInt64(out long number)
            && _waiting.TryGetValue(number, out TaskCompletionSource<JsonElement>? waiting))
        {
            waiting.TrySetResult(message);
        }
    }

    /// <summary>Null for a line that is not an object.</summary>
    private static JsonElement? Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = QmpFramer.MaximumNesting });
            return document.RootElement.ValueKind is JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
