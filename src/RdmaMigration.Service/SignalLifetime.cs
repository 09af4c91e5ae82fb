using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>
/// Ends the host on SIGINT and SIGTERM: the first has the migration cancelled, the other side told and everything torn down, the second has the
/// operating system's default action. A host that is asked to stop ends its migration too.
/// </summary>
internal sealed class SignalLifetime(
    Migration migration, IMigrationObserver observer, IHostApplicationLifetime application, ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    private readonly List<IDisposable> _registrations = [];
    private int _signals;

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle));
        _registrations.Add(application.ApplicationStopping.Register(() => migration.Quit(MigrationHost.Cancelled)));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void Handle(PosixSignalContext context)
    {
        bool isFirst = Interlocked.Increment(ref _signals) == 1;
        context.Cancel = isFirst;
        observer.OnSignal(context.Signal, endsAtOnce: !isFirst);
        if (isFirst)
        {
            ServiceLog.Signalled(log, context.Signal);
            migration.Quit(MigrationHost.Cancelled);
        }
    }
}
