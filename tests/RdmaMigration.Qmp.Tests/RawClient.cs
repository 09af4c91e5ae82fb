using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using RdmaMigration.Linux;
using RdmaMigration.Testing;

namespace RdmaMigration.Qmp.Tests;

/// <summary>A client that sends bytes as they are and reads lines.</summary>
internal sealed class RawClient : IAsyncDisposable
{
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;

    public RawClient(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new StreamReader(_stream, Encoding.Latin1);
    }

    public static async Task<RawClient> ConnectAsync(string path)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        return new RawClient(socket);
    }

    /// <summary>Takes the greeting and negotiates.</summary>
    public async Task NegotiateAsync(bool isOob = false)
    {
        Assert.True((await ReadAsync()).TryGetProperty("QMP", out _));
        await SendAsync(isOob ? """{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}""" : """{"execute":"qmp_capabilities"}""");
        Assert.True((await ReadAsync()).TryGetProperty("return", out _));
    }

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        await _stream.WriteAsync(bytes, deadline.Token);
    }

    /// <summary>Sends with a descriptor, which stays open here.</summary>
    public void Send(string text, SafeHandle passed)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        Assert.Equal(bytes.Length, SocketMessage.Send((int)_stream.Socket.Handle, bytes, (int)passed.DangerousGetHandle()).OrThrow("sendmsg"));
    }

    /// <summary>Closes the sending direction.</summary>
    public void EndSending() => _stream.Socket.Shutdown(SocketShutdown.Send);

    /// <summary>The next line; null at the end.</summary>
    public async Task<string?> ReadLineAsync()
    {
        using CancellationTokenSource deadline = new(Deadlines.Answer);
        return await _reader.ReadLineAsync(deadline.Token);
    }

    /// <summary>The next line, parsed.</summary>
    public async Task<JsonElement> ReadAsync()
    {
        string line = await ReadLineAsync() ?? throw new EndOfStreamException("the server closed the connection");
        using JsonDocument document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 2048 });
        return document.RootElement.Clone();
    }

    /// <summary>All lines up to the end of the connection.</summary>
    public async Task<List<JsonElement>> ReadToEndAsync()
    {
        List<JsonElement> lines = [];
        try
        {
            while (await ReadLineAsync() is { } line)
            {
                using JsonDocument document = JsonDocument.Parse(line);
                lines.Add(document.RootElement.Clone());
            }
        }
        catch (IOException)
        {
            // The server closed the connection before it had read everything.
        }

        return lines;
    }

    /// <summary>Sends, and returns the error of the next line as its class and description.</summary>
    public async Task<(string? Class, string? Description)> FailAsync(string text)
    {
        await SendAsync(text);
        return Error(await ReadAsync());
    }

    public static (string? Class, string? Description) Error(JsonElement reply)
    {
        JsonElement error = reply.GetProperty("error");
        return (error.GetProperty("class").GetString(), error.GetProperty("desc").GetString());
    }

    public async ValueTask DisposeAsync()
    {
        _reader.Dispose();
        await _stream.DisposeAsync();
    }
}
