using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using System.Net.Sockets;

namespace RdmaMigration.Machines.KeyValue;

/// <summary>The command line: <c>serve</c> is one of two processes, <c>load</c> moves the table between them and proves that nothing was lost.</summary>
internal static class KeyValueCommand
{
    /// <summary>Runs the program.</summary>
    /// <param name="arguments">As on the command line.</param>
    /// <param name="output">For what happens.</param>
    /// <param name="error">For failures.</param>
    /// <returns>0; 1 when something failed or a write was lost; 2 for wrong usage.</returns>
    public static async Task<int> RunAsync(string[] arguments, TextWriter output, TextWriter error)
    {
        RootCommand root = new("A key-value table that moves to another process while it serves clients.") { Serve(output), Load(output) };
        ParseResult parsed = root.Parse(arguments);
        foreach (ParseError mistake in parsed.Errors)
        {
            await error.WriteLineAsync($"rdmamig-kv: {mistake.Message}");
        }

        if (parsed.Errors.Count > 0)
        {
            return 2;
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false });
        }
        catch (Exception failed) when (failed is IOException or SocketException or ArgumentException)
        {
            await error.WriteLineAsync($"rdmamig-kv: {failed.Message}");
            return 1;
        }
    }

    private static Command Serve(TextWriter output)
    {
        Option<IPEndPoint> listen = EndPoint("--listen", "Where clients connect");
        Option<IPEndPoint> peer = EndPoint("--peer", "Where clients of the other process connect");
        Option<string> receive = new("--receive") { Description = "Where the table arrives: rdma:HOST:PORT, tcp:HOST:PORT or unix:PATH", Required = true };
        Option<bool> empty = new("--empty") { Description = "Begin without the table: the other process has it" };
        Option<ulong> ram = new("--ram") { Description = "MiB of RAM for the table; the same in both processes", DefaultValueFactory = _ => 64 };
        Option<string[]> parameters = new("--parameter") { Description = "NAME=VALUE: a parameter of migrations, such as downtime-limit=100" };
        Command serve = new("serve", "Runs one of the two processes.") { listen, peer, receive, empty, ram, parameters };
        serve.SetAction(async (parsed, cancellation) =>
        {
            NodeOptions options = new(
                parsed.GetRequiredValue(listen),
                parsed.GetRequiredValue(peer),
                parsed.GetRequiredValue(receive),
                parsed.GetValue(empty),
                parsed.GetValue(ram) << 20,
                (parsed.GetValue(parameters) ?? []).Select(text => text.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[^1]));
            try
            {
                await new KeyValueNode(options, output).RunAsync(cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                // Ctrl-C ends the process in order.
            }

            return 0;
        });
        return serve;
    }

    private static Command Load(TextWriter output)
    {
        Argument<LoadNode[]> nodes = new("ADDRESS:PORT=URI")
        {
            Description = "The two processes, the one with the table first: where clients connect, and where the table arrives",
            Arity = new ArgumentArity(2, 2),
            CustomParser = result =>
            {
                try
                {
                    return [.. result.Tokens.Select(token => LoadNode.Parse(token.Value))];
                }
                catch (FormatException unreadable)
                {
                    result.AddError(unreadable.Message);
                    return [];
                }
            },
        };
        Option<int> migrations = new("--migrations") { Description = "How often the table moves", DefaultValueFactory = _ => 10 };
        Option<int> clients = new("--clients") { Description = "Clients that write at a time", DefaultValueFactory = _ => 4 };
        Option<int> keys = new("--keys") { Description = "Keys of each client", DefaultValueFactory = _ => 1000 };
        Option<double> pause = new("--pause") { Description = "Seconds between two migrations", DefaultValueFactory = _ => 0.5 };
        Command load = new("load", "Writes while the table moves between the two processes, and proves that no acknowledged write was lost.")
        {
            nodes, migrations, clients, keys, pause,
        };
        load.SetAction(async (parsed, cancellation) =>
        {
            LoadRun run = new(parsed.GetRequiredValue(nodes), parsed.GetValue(clients), parsed.GetValue(keys), output);
            return await run.RunAsync(parsed.GetValue(migrations), TimeSpan.FromSeconds(parsed.GetValue(pause)), cancellation) ? 0 : 1;
        });
        return load;
    }

    private static Option<IPEndPoint> EndPoint(string name, string description) => new(name)
    {
        Description = $"{description}: ADDRESS:PORT",
        Required = true,
        CustomParser = result =>
        {
            if (IPEndPoint.TryParse(result.Tokens[0].Value, out IPEndPoint? endPoint))
            {
                return endPoint;
            }

            result.AddError($"{name}: '{result.Tokens[0].Value}' is not ADDRESS:PORT");
            return null;
        },
    };
}
