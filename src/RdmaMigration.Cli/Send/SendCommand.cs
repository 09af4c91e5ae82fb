using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli.Send;

/// <summary><c>rdmamig send FILE URI</c>: puts a captured machine into a QEMU that waits for it, or into another <c>rdmamig receive</c>.</summary>
internal sealed class SendCommand : MigrationCommand
{
    private readonly Argument<string> _file = SharedOptions.Path(
        "FILE", "The saved machine: a file written by 'rdmamig receive' or by QEMU's migrate; - is standard input. The file is only read");

    private readonly Argument<MigrationUri> _uri = Addresses.Destination("URI");

    private readonly ParameterOptions _parameters = new(MigrationSide.Outgoing);

    public SendCommand(Screen screen)
        : base(screen, "send", "Sends a saved machine to a QEMU started with -incoming, or to rdmamig receive.", "MIGRATION, PROGRESS, RESULT")
    {
        Add(_file);
        Add(_uri);
        _parameters.AddTo(Options);
        AddHostOptions();
        Validators.Add(Check);
    }

    public static string[] Examples { get; } =
    [
        "rdmamig send vm.qemu rdma:10.0.0.7:4444                  # to qemu-system-x86_64 ... -incoming rdma:0:4444",
        "rdmamig send vm.qemu rdma:10.0.0.7:4444 --return-path    # the destination confirms: QEMU with return-path on, or rdmamig receive",
        "rdmamig send vm.qemu tcp:10.0.0.7:4444 --max-bandwidth 100M --json",
        "rdmamig send vm.qemu tcp:10.0.0.7:4444 --tls-creds /etc/pki/rdmamig    # encrypted; QEMU's files for tls-creds-x509",
        "rdmamig send vm.qemu rdma:10.0.0.7:4444 --verify         # to rdmamig receive, which compares a digest of each RAM block",
        "rdmamig send vm.qemu 'exec:ssh host cat \\> vm.qemu'",
    ];

    protected override int Run(ParseResult parsed)
    {
        OutgoingOptions outgoing = new() { Uri = parsed.GetRequiredValue(_uri), Parameters = _parameters.Read(parsed) };
        if (Addresses.ReasonCannotSend(outgoing.Uri) is { } reason)
        {
            return HostCannot(reason, outgoing.Uri);
        }

        return RunHost(
            parsed,
            outgoing.Uri,
            json => _parameters.WriteTo(json, outgoing.Parameters, source: null, outgoing.Uri),
            (level, observer, logging) => new SenderHost(parsed.GetRequiredValue(_file), outgoing, observer, level, logging));
    }

    private void Check(CommandResult result)
    {
        MigrationUri? uri = SharedOptions.ValueOf(() => result.GetValue(_uri));
        Addresses.CheckDestination(result, uri);
        _parameters.Check(result, source: null, uri);
        if (uri is not null && SharedOptions.ValueOf(() => result.GetValue(_file)) is { } file
            && FileNode.IsSameStorage(FileNode.Of(uri), file == "-" ? FileNode.Of(0) : FileNode.At(file)))
        {
            result.AddError($"{uri} is the machine's own file ({(file == "-" ? "standard input" : file)}) and would be overwritten; name another destination");
        }
    }
}
