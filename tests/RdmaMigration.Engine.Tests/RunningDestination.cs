using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Testing;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine.Tests;

/// <summary>An incoming side that listens, on the real device unless told otherwise.</summary>
internal sealed class RunningDestination : RunningMigration<IncomingMigration>
{
    public RunningDestination(Func<IncomingOptions, IncomingOptions>? configure = null, IPAddress? address = null)
    {
        IncomingOptions options = new()
        {
            Uri = new RdmaUri((address ?? RdmaAddress.V4).ToString(), 0),
            Target = CaptureTarget.ToFile(File),
            MaxRam = 64 << 20,
            ReturnPathTimeout = TimeSpan.FromSeconds(20),
        };
        Migration = new IncomingMigration(Loop, configure?.Invoke(options) ?? options, NullLogger<IncomingMigration>.Instance);
        Migration.Start();
        Run();
    }

    public override IncomingMigration Migration { get; }

    public IReadOnlyList<string> LeftBehind => [.. Directory.EnumerateFiles().Select(file => file.Name).Where(name => name != "vm.qemu")];

    public IPEndPoint EndPoint => Migration.LocalEndPoint!;

    public RdmaSource Connect(bool pinAll = false) => RdmaSource.Connect(EndPoint, pinAll ? RdmaSource.PinAll : RdmaSource.Dynamic);
}
