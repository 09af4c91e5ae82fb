using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

using RdmaMigration.Verbs.RPing;

namespace RdmaMigration.Verbs.Tests.Rdma;

/// <summary>The example against rdma-core's own rping, in both roles.</summary>
[Trait("needs", "rdma")]
public sealed class RPingTests
{
    private static IPAddress Address => TestHost.Address(AddressFamily.InterNetwork);

    [Theory]
    [InlineData(1, 64)]
    [InlineData(10, 100)]
    [InlineData(100, 4096)]
    [InlineData(20, 65535)]
    public void Our_client_pings_the_real_server(int count, int size)
    {
        int port = FreePort();
        using RealRPing server = new("-s", "-v", "-V", "-a", Address.ToString(), "-p", Text(port), "-S", Text(size));
        (int code, string? output, string? error) = Retry(
            () => Run("-c", "-v", "-V", "-a", Address.ToString(), "-p", Text(port), "-S", Text(size), "-C", Text(count)));
        Assert.Equal(("", 0), (error, code));
        Assert.Equal(Expected("ping data: ", count, size), Lines(output));
        server.Finish();
        Assert.Equal(Expected("server ping data: ", count, size), server.Lines.Where(line => line.StartsWith("server ping data", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(1, 64)]
    [InlineData(10, 100)]
    [InlineData(100, 4096)]
    [InlineData(20, 65535)]
    public void The_real_client_pings_our_server(int count, int size)
    {
        int port = FreePort();
        (int Code, string Output, string Error) ours = (-1, "", "");
        Thread server = new(() => ours = Run("-s", "-v", "-a", Address.ToString(), "-p", Text(port), "-S", Text(size)));
        server.Start();
        List<string> theirs = Retry(() =>
        {
            using RealRPing client = new("-c", "-v", "-V", "-a", Address.ToString(), "-p", Text(port), "-S", Text(size), "-C", Text(count));
            int code = client.Finish();
            return (code, string.Join('\n', client.Lines), client.Error);
        }).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToList();
        Assert.True(server.Join(TestHost.Limit), "our server did not notice that the client left");
        Assert.Equal(("", 0), (ours.Error, ours.Code));
        Assert.Equal(Expected("server ping data: ", count, size), Lines(ours.Output));
        Assert.Equal(Expected("ping data: ", count, size), theirs.Where(line => line.StartsWith("ping data", StringComparison.Ordinal)));
    }

    [Fact]
    public void Real_server_that_is_not_there_is_an_error_that_says_so()
    {
        (int code, string _, string? error) = Run("-c", "-a", Address.ToString(), "-p", Text(FreePort()), "-C", "1");
        Assert.Equal(1, code);
        Assert.Contains("nobody listens on that port", error, StringComparison.Ordinal);
    }

    // Where nobody listens yet the connection is rejected at once; there is no event to wait for across two programs.
    private static (int Code, string Output, string Error) Retry(Func<(int Code, string Output, string Error)> connect)
    {
        Stopwatch clock = Stopwatch.StartNew();
        (int Code, string Output, string Error) result;
        do
        {
            result = connect();
        }
        while (result.Code != 0 && clock.Elapsed < TestHost.Limit);
        return result;
    }

    private static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using StringWriter output = new();
        using StringWriter error = new();
        int code = RPingCommand.Run(arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private static List<string> Expected(string prefix, int count, int size)
    {
        List<string> lines = new();
        for (int ping = 0; ping < count; ping++)
        {
            string head = $"rdma-ping-{ping}: ";
            IEnumerable<char> tail = Enumerable.Range(0, size - 1 - head.Length).Select(i => (char)('A' + (ping + i) % 58));
            lines.Add(prefix + head + string.Concat(tail));
        }
        return lines;
    }

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static int FreePort()
    {
        using EventChannel channel = EventChannel.Create();
        using CmId id = CmId.Create(channel);
        id.Bind(new IPEndPoint(Address, 0));
        return id.LocalEndPoint!.Port;
    }

    private sealed class RealRPing : IDisposable
    {
        private readonly ConcurrentQueue<string> _lines = new();
        private readonly ConcurrentQueue<string> _errors = new();
        private readonly Process _process;

        internal RealRPing(params string[] arguments)
        {
            _process = Process.Start(new ProcessStartInfo("rping", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            _process.OutputDataReceived += (_, line) => Add(_lines, line.Data);
            _process.ErrorDataReceived += (_, line) => Add(_errors, line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        internal IReadOnlyCollection<string> Lines => _lines;

        internal string Error => string.Join('\n', _errors);

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.WaitForExit();
            _process.Dispose();
        }

        internal int Finish()
        {
            Assert.True(_process.WaitForExit((int)TestHost.Limit.TotalMilliseconds), $"rping did not end: {Error}");
            _process.WaitForExit();
            return _process.ExitCode;
        }

        private static void Add(ConcurrentQueue<string> queue, string? line)
        {
            if (line is not null)
            {
                queue.Enqueue(line);
            }
        }
    }
}
