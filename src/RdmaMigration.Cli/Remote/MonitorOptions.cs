using System.CommandLine;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Remote;

/// <summary>What the commands that use a QMP socket share.</summary>
internal static class MonitorOptions
{
    /// <summary>How long the greeting may take, unless the command line says otherwise.</summary>
    public static TimeSpan DefaultGreetingTimeout { get; } = TimeSpan.FromSeconds(5);

    /// <summary>The monitor's socket.</summary>
    public static Argument<string> Socket() =>
        SharedOptions.Path("SOCKET", "The QMP socket of a QEMU (-qmp unix:SOCKET,server=on,wait=off), of rdmamig serve or of rdmamig guest (--qmp SOCKET)");

    /// <summary>How long the greeting may take.</summary>
    public static Option<TimeSpan?> GreetingTimeout() => SharedOptions.Value(
        "--greeting-timeout",
        "How long the monitor's greeting may take. A QEMU socket serves one client at a time "
            + $"[default: {DefaultGreetingTimeout.TotalSeconds}]",
        new DurationKind());
}
