using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>The host around a sending engine: sends one capture, then ends.</summary>
internal sealed class SenderHost : MigrationHost
{
    private readonly string _file;
    private readonly OutgoingOptions _outgoing;

    /// <summary>Prepares; nothing is read before <see cref="MigrationHost.Run"/>.</summary>
    /// <param name="file">The capture, which is only read.</param>
    /// <param name="outgoing">The destination.</param>
    /// <param name="observer">Gets reports.</param>
    /// <param name="logLevel">The least important level that is logged.</param>
    /// <param name="logging">Where logs go; null for stderr, in systemd's format when systemd started the process.</param>
    public SenderHost(
        string file, OutgoingOptions outgoing, IMigrationObserver observer, LogLevel logLevel = LogLevel.Warning, Action<ILoggingBuilder>? logging = null)
        : base(logLevel, observer, logging)
    {
        _file = file;
        _outgoing = outgoing;
    }

    private protected override IReadOnlyList<string> CheckOptions() =>
        [.. _file.Length == 0 ? (string[])["file is empty: it must name a capture"] : [], .. OptionChecks.Outgoing(_outgoing)];

    private protected override Task Start(MachineProcess process, MainLoop loop, ILogger log) => process.MigrateAsync(_file, _outgoing);

    private protected override int? ExitCodeAfter(MigrationInfo info) => info.Status switch
    {
        MigrationStatus.Completed => 0,
        MigrationStatus.Failed => 1,
        MigrationStatus.Cancelled => Cancelled,
        _ => null,
    };
}
