using System.CommandLine;
using System.Net;

namespace RdmaMigration.Verbs.RPing;

/// <summary>The command line, with the option letters of rdma-core's rping.</summary>
internal static class RPingCommand
{
    private const int DefaultPort = 7174;
    private const int DefaultSize = 100;
    private const int LargestSize = 64 * 1024 - 1;

    /// <summary>Runs the program.</summary>
    /// <param name="arguments">As on the command line.</param>
    /// <param name="output">Where pings are printed.</param>
    /// <param name="error">Where failures are told.</param>
    /// <returns>0 when all pings came back (client) or the client left (server), 1 on failure, 2 for wrong usage.</returns>
    public static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter error)
    {
        Option<bool> server = new("-s") { Description = "be the server" };
        Option<bool> client = new("-c") { Description = "be the client" };
        Option<string> address = new("-a") { Description = "address to listen on, or to connect to", DefaultValueFactory = _ => "0.0.0.0" };
        Option<ushort> port = new("-p") { Description = "port", DefaultValueFactory = _ => DefaultPort };
        Option<int> size = new("-S") { Description = "bytes of a ping", DefaultValueFactory = _ => DefaultSize };
        Option<int> count = new("-C") { Description = "number of pings; 0 does not end" };
        Option<bool> verify = new("-V") { Description = "compare what comes back" };
        Option<bool> verbose = new("-v") { Description = "print what is pinged" };
        Option<bool> persistent = new("-P") { Description = "serve one client after the other" };
        RootCommand root = new("RDMA ping, wire-compatible with rping.") { server, client, address, port, size, count, verify, verbose, persistent };
        root.Validators.Add(result =>
        {
            if (result.GetValue(server) == result.GetValue(client))
            {
                result.AddError("Give either -s or -c.");
            }
        });
        size.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < RPingBuffers.SmallestSize or > LargestSize)
            {
                result.AddError($"-S must be from {RPingBuffers.SmallestSize} to {LargestSize}.");
            }
        });
        address.Validators.Add(result =>
        {
            if (!IPAddress.TryParse(result.GetValueOrDefault<string>(), out _))
            {
                result.AddError("-a must be an IP address.");
            }
        });

        root.SetAction(result =>
        {
            IPEndPoint endPoint = new(IPAddress.Parse(result.GetValue(address)!), result.GetValue(port));
            RPingOptions options = new(
                endPoint, result.GetValue(size), result.GetValue(count), result.GetValue(verify), result.GetValue(verbose), result.GetValue(persistent));
            return result.GetValue(server) ? RPingServer.Run(options, output) : RPingClient.Run(options, output);
        });
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            return Usage(parsed, error);
        }

        try
        {
            return parsed.Invoke(new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false });
        }
        catch (Exception exception) when (exception is IOException or PlatformNotSupportedException)
        {
            error.WriteLine($"rping: {exception.Message}");
            return 1;
        }
    }

    private static int Usage(ParseResult parsed, TextWriter error)
    {
        foreach (System.CommandLine.Parsing.ParseError mistake in parsed.Errors)
        {
            error.WriteLine($"rping: {mistake.Message}");
        }

        return 2;
    }
}
