using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Engine;
using RdmaMigration.Transport;
using RdmaMigration.Verbs;

namespace RdmaMigration.Cli.Send;

/// <summary>The options of everything that sends.</summary>
internal sealed class SendOptions
{
    public const string UriDescription = "Where to, as QEMU writes it: rdma:HOST:PORT, tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:N; "
        + "an IPv6 address in brackets";

    private static readonly RdmaConnectOptions s_rdma = new();
    private static readonly OutgoingOptions s_defaults = new() { Uri = new RdmaUri("", 0) };

    private readonly Option<bool> _pinAll = new("--pin-all") { Description = "RDMA: have the destination register all RAM at the start" };

    private readonly Option<bool> _returnPath = new("--return-path")
    {
        Description = "RDMA: have the destination say how it ended, over a second connection that it must expect: rdmamig does, QEMU 8.0 and later with return-path "
            + "on, 7.2 with postcopy-ram on. Sockets have their way back always",
    };

    private readonly Option<ulong?> _window = SharedOptions.Size(
        "--window",
        $"RDMA: the most memory that a key is asked for at once; a multiple of 1 MiB [default: {ByteSize.Format(s_rdma.WindowBytes)}]",
        least: 1 << 20,
        multipleOf: 1 << 20);

    private readonly Option<ulong?> _maxBandwidth = SharedOptions.Size("--max-bandwidth", "The most bytes a second; binary units [default: no limit]", 1 << 10);

    private readonly Option<TimeSpan?> _timeout = SharedOptions.Seconds("--timeout", "The longest that the migration may take once FILE is read [default: no limit]");

    private readonly Option<TimeSpan?> _connectTimeout = SharedOptions.Seconds(
        "--connect-timeout", $"The longest wait for the destination to take the connection [default: {s_defaults.ConnectTimeout.TotalSeconds}]");

    private readonly Option<TimeSpan?> _keepAlive = SharedOptions.Seconds(
        "--keepalive-interval",
        $"Silence after which the destination is probed; 0 never probes [default: {s_defaults.KeepAliveInterval.TotalSeconds}]",
        zeroIsOff: true);

    private readonly Option<TimeSpan?> _confirmTimeout = SharedOptions.Seconds(
        "--confirm-timeout",
        "The longest wait, once everything is sent, for the destination's word, or for its close where it cannot say "
            + $"[default: no limit, or {OutgoingOptions.DefaultCloseTimeout.TotalSeconds} where it cannot say]");

    public void AddTo(Command command)
    {
        AddChannelTo(command);
        command.Add(_timeout);
        command.Add(_keepAlive);
    }

    /// <summary>For a command that has a timeout and probes of its own.</summary>
    public void AddChannelTo(Command command)
    {
        foreach (Option option in (Option[])[_pinAll, _returnPath, _window, _maxBandwidth, _connectTimeout, _confirmTimeout])
        {
            command.Add(option);
        }
    }

    /// <summary>A destination that cannot be connected to is a mistake, and so are options that only RDMA has, for another kind of channel.</summary>
    public void Check(CommandResult result, MigrationUri? uri)
    {
        if (uri is HostUri { Lacks: { } lack })
        {
            result.AddError($"{lack}: a destination needs a host and a port, as in {uri.Scheme}:10.0.0.7:4444");
        }

        if (uri is null or RdmaUri)
        {
            return;
        }

        foreach (Option option in (Option[])[_pinAll, _returnPath, _window])
        {
            if (result.GetResult(option) is { Implicit: false })
            {
                result.AddError($"{option.Name} is for rdma:HOST:PORT, and the destination is {uri}");
            }
        }
    }

    /// <summary>Why this host cannot send there, told before a file of many GiB is read; null if it can.</summary>
    public static string? ReasonCannotSend(MigrationUri to)
    {
        if (to is not RdmaUri)
        {
            return null;
        }

        try
        {
            EventChannel.Create().Dispose();
            return null;
        }
        catch (Exception cannot) when (cannot is PlatformNotSupportedException or VerbsException)
        {
            return $"cannot send to {to}: {cannot.Message}";
        }
    }

    public OutgoingOptions Read(ParseResult parsed, MigrationUri uri) => new()
    {
        Uri = uri,
        PinAll = parsed.GetValue(_pinAll),
        ReturnPath = parsed.GetValue(_returnPath),
        WindowBytes = parsed.GetValue(_window),
        MaxBandwidth = parsed.GetValue(_maxBandwidth) is { } bandwidth ? (long)Math.Min(bandwidth, long.MaxValue) : null,
        Timeout = parsed.GetValue(_timeout),
        ConnectTimeout = parsed.GetValue(_connectTimeout) ?? s_defaults.ConnectTimeout,
        KeepAliveInterval = parsed.GetValue(_keepAlive) ?? s_defaults.KeepAliveInterval,
        ConfirmTimeout = parsed.GetValue(_confirmTimeout),
    };
}
