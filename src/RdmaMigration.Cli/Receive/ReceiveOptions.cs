using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Receive;

/// <summary>The options of everything that receives.</summary>
internal sealed class ReceiveOptions
{
    /// <summary>Follows what the address is.</summary>
    public const string UriDescription = "as QEMU writes it: rdma:HOST:PORT, tcp:HOST:PORT and unix:PATH listen (an IPv6 address in brackets, an empty HOST "
        + "for every address, of rdma: every IPv4 one); exec:COMMAND, file:PATH[,offset=N] and fd:N are read, once";

    private static readonly ListenerOptions s_listener = new();

    private readonly Option<bool> _once = new("--once") { Description = "End after the first migration, also when it failed (exit code 1)" };

    private readonly Option<ulong?> _maxRam = SharedOptions.MaxRam(
        "The most RAM that a source may make this host allocate; binary units [default: the RAM that this host can give]");

    private readonly Option<TimeSpan?> _timeout = SharedOptions.Seconds(
        "--timeout", "The longest that one migration may take [default: no limit]");

    private readonly Option<TimeSpan?> _keepAlive = SharedOptions.Seconds(
        "--keepalive-interval",
        $"Silence after which the other side is probed; 0 never probes [default: {s_listener.KeepAliveInterval.TotalSeconds}]",
        zeroIsOff: true);

    private readonly Option<IPNetwork[]> _allow = new("--allow")
    {
        Description = "A network that may connect by RDMA or TCP, such as 10.0.0.0/24; repeatable [default: everyone]",
        HelpName = "CIDR",
        CustomParser = result => [.. result.Tokens.Select(token => ParseNetwork(result, token.Value))],
    };

    private readonly Option<bool> _switchoverAck = new("--switchover-ack")
    {
        Description = "Acknowledge the switchover at once, for a source with capability switchover-ack",
    };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_once, _maxRam, _timeout, _keepAlive, _allow, _switchoverAck])
        {
            command.Add(option);
        }
    }

    /// <summary>Networks, for a source that does not come in by one, are a mistake.</summary>
    public void Check(CommandResult result, MigrationUri? uri)
    {
        if (uri is not null and not HostUri && result.GetResult(_allow) is { Implicit: false })
        {
            result.AddError($"{_allow.Name} is for rdma:HOST:PORT and tcp:HOST:PORT, and the source is {uri}");
        }
    }

    public TimeSpan KeepAlive(ParseResult parsed) => parsed.GetValue(_keepAlive) ?? s_listener.KeepAliveInterval;

    public IncomingOptions Read(ParseResult parsed, MigrationUri uri, MachineTarget target)
    {
        IncomingOptions options = new()
        {
            Uri = uri,
            Target = target,
            Once = parsed.GetValue(_once),
            Timeout = parsed.GetValue(_timeout),
            SwitchoverAck = parsed.GetValue(_switchoverAck),
            Listener = s_listener with
            {
                KeepAliveInterval = KeepAlive(parsed),
                Allow = parsed.GetValue(_allow) ?? [],
            },
        };
        return parsed.GetValue(_maxRam) is { } maxRam ? options with { MaxRam = maxRam } : options;
    }

    private static IPNetwork ParseNetwork(ArgumentResult result, string text)
    {
        // One host needs no prefix length.
        if (IPAddress.TryParse(text, out IPAddress? host))
        {
            return new IPNetwork(host, host.GetAddressBytes().Length * 8);
        }

        return IPNetwork.TryParse(text, out IPNetwork network)
            ? network
            : SharedOptions.Refuse<IPNetwork>(result, $"--allow: '{text}' is not a network: an address and a prefix length, such as 10.0.0.0/24");
    }
}
