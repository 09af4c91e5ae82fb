using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>An incoming side that listens, on the real device unless told otherwise.</summary>
internal sealed class RunningDestination : RunningMigration
{
    /// <param name="configure">What differs from a capture of at most 64 MiB.</param>
    /// <param name="address">Of the device.</param>
    /// <param name="connect">Opens the way on of a relay; null: to the target's URI.</param>
    public RunningDestination(
        Func<IncomingOptions, IncomingOptions>? configure = null, IPAddress? address = null, Func<CancellationToken, OutgoingChannel>? connect = null)
    {
        IncomingOptions options = new()
        {
            Uri = new RdmaUri((address ?? RdmaAddress.V4).ToString(), 0),
            Target = CaptureTarget.ToFile(File),
            Parameters = ParameterSet.Defaults.With(MigrationParameters.MaxRam, 64UL << 20).With(MigrationParameters.ReportTimeout, TimeSpan.FromSeconds(20)),
        };
        options = configure?.Invoke(options) ?? options;
        Process = connect is null
            ? new MachineProcess(Loop, NullLogger<MachineProcess>.Instance)
            : new MachineProcess(Loop, (_, cancel) => connect(cancel), NullLogger.Instance);
        Process.Listen(options);
        Run();
    }

    public override MachineProcess Process { get; }

    public IReadOnlyList<string> LeftBehind => [.. Directory.EnumerateFiles().Select(file => file.Name).Where(name => name != "vm.qemu")];

    public IPEndPoint EndPoint => Process.LocalEndPoint!;

    /// <summary>The directory for files.</summary>
    public string DirectoryName => Directory.FullName;

    public RdmaSource Connect(bool pinAll = false) => RdmaSource.Connect(EndPoint, pinAll ? RdmaSource.PinAll : RdmaSource.Dynamic);
}
