using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Cli.Receive;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Cli.Send;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Relay;

/// <summary><c>rdmamig relay FROM TO</c>: takes a running machine in by one channel and sends it on by another, without a disk between.</summary>
internal sealed class RelayCommand : MigrationCommand
{
    private readonly Argument<MigrationUri> _from = SharedOptions.Address("FROM", $"Where the machine comes from, {ReceiveOptions.UriDescription}");

    private readonly Argument<MigrationUri> _to = SharedOptions.Address("TO", SendOptions.UriDescription);

    private readonly ReceiveOptions _receive = new();

    private readonly SendOptions _send = new();

    private readonly Option<string> _rescue = SharedOptions.Path(
        "--rescue",
        "Where a machine is saved that has arrived and that nobody else is known to have: the destination did not take it and the source cannot be told, or the destination cannot prove that it has it",
        CapturePath.HelpName);

    public RelayCommand(Screen screen)
        : base(screen, "relay", "Takes a running machine in and sends it on as it is, from RDMA to TCP or the other way.", "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_from);
        Add(_to);
        Add(_rescue);
        _receive.AddTo(this);
        _send.AddChannelTo(this);
        AddReportOptions();
        Validators.Add(Check);
    }

    public static string[] Examples { get; } =
    [
        "rdmamig relay rdma:10.0.0.5:4444 tcp:192.168.7.2:4444        # one machine, then exit",
        "rdmamig relay tcp::4444 rdma:10.0.0.7:4444 --return-path     # to rdmamig receive: proven",
        "rdmamig relay rdma::4444 'exec:ssh host rdmamig receive fd:0 --to vm.qemu' --rescue /srv/rescued/",
        "  on the source, in QEMU's monitor: migrate -d rdma:10.0.0.5:4444",
    ];

    protected override int Run(ParseResult parsed)
    {
        CaptureTarget? rescue = parsed.GetValue(_rescue) is { } path ? CapturePath.Read(path) : null;
        if (rescue is not null && CapturePath.ReasonNotWritable(rescue) is { } notWritable)
        {
            return HostCannot(notWritable, uri: null);
        }

        MigrationUri to = parsed.GetRequiredValue(_to);
        if (SendOptions.ReasonCannotSend(to) is { } reason)
        {
            return HostCannot(reason, to);
        }

        OutgoingOptions outgoing = _send.Read(parsed, to) with { KeepAliveInterval = _receive.KeepAlive(parsed) };
        IncomingOptions incoming = _receive.Read(parsed, parsed.GetRequiredValue(_from), new RelayTarget(outgoing, rescue));
        return RunHost(parsed, incoming.Uri, (level, observer, logging) => new ReceiverHost(
            new ReceiverOptions { Incoming = incoming, LogLevel = level }, observer, logging));
    }

    private void Check(CommandResult result)
    {
        (MigrationUri? from, MigrationUri? to) = (SharedOptions.ValueOf(() => result.GetValue(_from)), SharedOptions.ValueOf(() => result.GetValue(_to)));
        _receive.Check(result, from);
        _send.Check(result, to);
        if (from is not null && to is not null && RelayLoop.Closes(from, to))
        {
            result.AddError($"FROM ({from}) and TO ({to}) are the same place: a relay cannot send a machine to itself");
        }
    }
}
