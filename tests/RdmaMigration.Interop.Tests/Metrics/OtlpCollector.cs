using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop.Metrics;

/// <summary>Takes what is pushed over OTLP (HTTP, protobuf), and keeps it.</summary>
internal sealed class OtlpCollector : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly List<(string Path, ByteString Body)> _posts = [];
    private readonly Task _serving;

    public OtlpCollector()
    {
        using (TcpListener free = new(IPAddress.Loopback, 0))
        {
            free.Start();
            Address = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
        }

        _listener.Prefixes.Add($"{Address}/");
        _listener.Start();
        _serving = ServeAsync();
    }

    /// <summary>For OTEL_EXPORTER_OTLP_ENDPOINT.</summary>
    public string Address { get; }

    /// <summary>The texts at a path of field numbers in the messages that were posted to a path of HTTP.</summary>
    public HashSet<string> Texts(string httpPath, params int[] fields)
    {
        lock (_posts)
        {
            return [.. _posts.Where(post => post.Path == httpPath).SelectMany(post => Find(post.Body, fields)).Select(text => text.ToStringUtf8())];
        }
    }

    public void Dispose()
    {
        _listener.Close();
        _serving.Wait(Deadlines.Answer);
    }

    private static List<ByteString> Find(ByteString message, int[] fields)
    {
        if (fields.Length == 0)
        {
            return [message];
        }

        List<ByteString> found = [];
        CodedInputStream input = message.CreateCodedInput();
        while (input.ReadTag() is not 0 and uint tag)
        {
            if (WireFormat.GetTagFieldNumber(tag) == fields[0] && WireFormat.GetTagWireType(tag) is WireFormat.WireType.LengthDelimited)
            {
                found.AddRange(Find(input.ReadBytes(), fields[1..]));
            }
            else
            {
                input.SkipLastField();
            }
        }

        return found;
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception closed) when (closed is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            ByteString body = await ByteString.FromStreamAsync(context.Request.InputStream);
            lock (_posts)
            {
                _posts.Add((context.Request.Url!.AbsolutePath, body));
            }

            // An empty message: everything was accepted.
            context.Response.ContentType = "application/x-protobuf";
            context.Response.Close();
        }
    }
}
