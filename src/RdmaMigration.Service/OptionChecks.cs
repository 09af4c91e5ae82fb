using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>What contradicts itself in the options of a migration, before anything is opened. Ranges are checked when a parameter is set.</summary>
internal static class OptionChecks
{
    public static IEnumerable<string> Incoming(IncomingOptions incoming) => OutOfScope(incoming.Parameters, incoming.Uri, MigrationSide.Incoming, "source");

    public static IEnumerable<string> Outgoing(OutgoingOptions outgoing) =>
    [
        .. outgoing.Uri is HostUri { Lacks: { } lack } ? (string[])[$"{lack}, and is a destination"] : [],
        .. OutOfScope(outgoing.Parameters, outgoing.Uri, MigrationSide.Outgoing, "destination"),
    ];

    private static IEnumerable<string> OutOfScope(ParameterSet parameters, MigrationUri uri, MigrationSide side, string role) =>
        parameters.OutOfScope(uri, side).Select(parameter => $"{parameter.Name} is for {parameter.Channels} only; the {role} is {uri}");
}
