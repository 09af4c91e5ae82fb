using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Transport;
using RdmaMigration.Verbs;

namespace RdmaMigration.Cli;

/// <summary>The addresses that a machine comes from and goes to, as arguments, in QEMU's spelling.</summary>
internal static class Addresses
{
    /// <summary>Where a machine comes from.</summary>
    public static Argument<MigrationUri> Source(string name, string description) => Create(
        name,
        $"{description}, in QEMU's syntax. rdma:HOST:PORT, tcp:HOST:PORT and unix:PATH listen; without HOST, on all addresses. Write an IPv6 address "
            + "in brackets. exec:COMMAND, file:PATH[,offset=N] and fd:N are read once");

    /// <summary>Where a machine goes.</summary>
    public static Argument<MigrationUri> Destination(string name) => Create(
        name,
        "Where the machine goes, in QEMU's syntax: rdma:HOST:PORT, tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:N. Write an IPv6 "
            + "address in brackets");

    /// <summary>An address, in QEMU's syntax, as an option.</summary>
    public static Option<MigrationUri> Option(string name, string description) =>
        new(name) { Description = $"{description}. rdma:HOST:PORT, tcp:HOST:PORT or unix:PATH", HelpName = "URI", CustomParser = Parse };

    /// <summary>Refuses an address that cannot be connected to.</summary>
    public static void CheckDestination(CommandResult result, MigrationUri? uri)
    {
        if (uri is HostUri { Lacks: { } lack })
        {
            result.AddError($"{lack}: a destination needs a host and a port, as in {uri.Scheme}:10.0.0.7:4444");
        }
    }

    /// <summary>Why this host cannot send there; null when it can. Asked before a file of many GiB is read.</summary>
    public static string? ReasonCannotSend(MigrationUri to)
    {
        if (!to.IsRdma)
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

    private static Argument<MigrationUri> Create(string name, string description) => new(name) { Description = description, CustomParser = Parse };

    private static MigrationUri? Parse(ArgumentResult result)
    {
        try
        {
            return MigrationUri.Parse(result.Tokens[0].Value);
        }
        catch (FormatException unreadable)
        {
            return SharedOptions.Refuse<MigrationUri>(result, unreadable.Message);
        }
    }
}
