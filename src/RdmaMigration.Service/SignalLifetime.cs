using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace RdmaMigration.Service;

/// <summary>
/// Ends the host on SIGINT, SIGTERM and SIGHUP (<see cref="SignalWatch"/>). The first signal cancels the migration, reports that to the other side and frees
/// everything; a machine that may exist nowhere else is saved before. A host that is asked to stop ends its migration too.
/// </summary>
internal sealed class SignalLifetime(
    ProcessEnd end, IMigrationObserver observer, IHostApplicationLifetime application, ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    private readonly List<IDisposable> _registrations = [];

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        _registrations.Add(new SignalWatch(Handle));
        _registrations.Add(application.ApplicationStopping.Register(() => end.Quit(MigrationHost.Cancelled)));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void Handle(PosixSignal signal, bool endsAtOnce)
    {
        observer.OnSignal(signal, endsAtOnce);
        if (!endsAtOnce)
        {
            ServiceLog.Signalled(log, signal);
            end.Quit(MigrationHost.Cancelled);
        }
    }
}
