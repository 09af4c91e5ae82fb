using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Cli.Receive;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Relay;

/// <summary><c>rdmamig relay FROM TO</c>: takes a running machine in by one channel and sends it on by another, without a disk between.</summary>
internal sealed class RelayCommand : MigrationCommand
{
    private readonly Argument<MigrationUri> _from = Addresses.Source("FROM", "Where the machine comes from");

    private readonly Argument<MigrationUri> _to = Addresses.Destination("TO");

    private readonly ParameterOptions _parameters = new(MigrationSide.Both);

    private readonly Option<bool> _once = SharedOptions.Once();

    private readonly Option<string> _rescue = SharedOptions.Path(
        "--rescue",
        "Save the machine here if the destination fails and the source may no longer have it, or if the destination cannot confirm",
        CapturePath.HelpName);

    public RelayCommand(Screen screen)
        : base(
            screen,
            "relay",
            "Receives a running machine and sends it on without saving it, for example from RDMA to TCP.",
            "LISTENING, MIGRATION, PROGRESS, RESULT")
    {
        Add(_from);
        Add(_to);
        Add(_rescue);
        Add(_once);
        _parameters.AddTo(Options);
        AddHostOptions();
        Validators.Add(Check);
    }

    public static string[] Examples { get; } =
    [
        "rdmamig relay rdma:10.0.0.5:4444 tcp:192.168.7.2:4444        # relay one machine, then exit",
        "  then, in the monitor of the source QEMU: migrate -d rdma:10.0.0.5:4444",
        "rdmamig relay tcp::4444 rdma:10.0.0.7:4444 --return-path     # to rdmamig receive, which confirms",
        "rdmamig relay rdma::4444 tcp:10.0.0.7:4444 --tls-creds /etc/pki/rdmamig    # the half over TCP is encrypted",
        "rdmamig relay rdma::4444 'exec:ssh host rdmamig receive fd:0 --to vm.qemu' --rescue /srv/rescued/",
    ];

    protected override int Run(ParseResult parsed)
    {
        CaptureTarget? rescue = parsed.GetValue(_rescue) is { } path ? CapturePath.Read(path) : null;
        if (rescue is not null && CapturePath.ReasonNotWritable(rescue) is { } notWritable)
        {
            return HostCannot(notWritable, uri: null);
        }

        MigrationUri to = parsed.GetRequiredValue(_to);
        if (Addresses.ReasonCannotSend(to) is { } reason)
        {
            return HostCannot(reason, to);
        }

        ParameterSet parameters = _parameters.Read(parsed);
        MigrationUri from = parsed.GetRequiredValue(_from);
        IncomingOptions incoming = new()
        {
            Uri = from,
            Target = new RelayTarget(new OutgoingOptions { Uri = to, Parameters = parameters.For(to) }, rescue),
            Once = parsed.GetValue(_once),
            Parameters = parameters.For(from),
        };
        return RunHost(
            parsed,
            incoming.Uri,
            json => _parameters.WriteTo(json, parameters, incoming.Uri, to),
            (level, observer, logging) => new ReceiverHost(incoming, observer, logLevel: level, logging: logging));
    }

    private void Check(CommandResult result)
    {
        (MigrationUri? from, MigrationUri? to) = (SharedOptions.ValueOf(() => result.GetValue(_from)), SharedOptions.ValueOf(() => result.GetValue(_to)));
        Addresses.CheckDestination(result, to);
        _parameters.Check(result, from, to);
        if (from is not null && to is not null && RelayLoop.Closes(from, to))
        {
            result.AddError($"FROM ({from}) and TO ({to}) are the same place: a relay cannot send a machine to itself");
        }
    }
}
