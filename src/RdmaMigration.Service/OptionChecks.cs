using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>What contradicts itself in the options of a migration, before anything is opened. Ranges are checked when a parameter is set.</summary>
internal static class OptionChecks
{
    public static IEnumerable<string> Incoming(IncomingOptions incoming) =>
        OutOfScope(incoming.Parameters.OutOfScope(incoming.Uri, MigrationSide.Incoming), incoming.Uri, "source");

    public static IEnumerable<string> Outgoing(OutgoingOptions outgoing) =>
    [
        .. outgoing.Uri is HostUri { Lacks: { } lack } ? (string[])[$"{lack}, and is a destination"] : [],
        .. OutOfScope(outgoing.Parameters.OutOfScope(outgoing.Uri, MigrationSide.Outgoing), outgoing.Uri, "destination"),
    ];

    /// <summary>For a service that takes its machine there. What a destination uses too may be for a later migrate, whose address is not known.</summary>
    public static IEnumerable<string> Arrival(ParameterSet parameters, MigrationUri uri) =>
        OutOfScope(parameters.OutOfScope(uri, MigrationSide.Incoming).Where(parameter => !parameter.Side.HasFlag(MigrationSide.Outgoing)), uri, "source");

    private static IEnumerable<string> OutOfScope(IEnumerable<Parameter> misplaced, MigrationUri uri, string role) =>
        misplaced.Select(parameter => $"{parameter.Name} is for {parameter.Channels} only; the {role} is {uri}");
}
