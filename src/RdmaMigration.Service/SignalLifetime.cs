using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Service;

/// <summary>
/// Ends the host on SIGINT, SIGTERM and SIGHUP. The first signal cancels the migration, reports that to the other side and frees everything; a machine that
/// may exist nowhere else is saved before. A second SIGINT or SIGTERM ends the process at once, by that signal. A second SIGHUP does not: a terminal that
/// closes sends it twice, by the kernel and by the shell, and systemd sends it after SIGTERM. A SIGHUP that was ignored at start, as under nohup, stays
/// ignored. A host that is asked to stop ends its migration too.
/// </summary>
internal sealed class SignalLifetime(
    ProcessEnd end, IMigrationObserver observer, IHostApplicationLifetime application, ILogger<SignalLifetime> log) : IHostLifetime, IDisposable
{
    /// <summary>Lives until the process ends: a SIGHUP that comes when the host is gone already does not replace the exit code.</summary>
    private static PosixSignalRegistration? s_hangUpAtTheEnd;

    private readonly List<IDisposable> _registrations = [];
    private int _signals;

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle));
        if (!Signals.IsHangUpIgnored)
        {
            _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle));
        }

        _registrations.Add(application.ApplicationStopping.Register(() => end.Quit(MigrationHost.Cancelled)));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose()
    {
        if (Volatile.Read(ref _signals) > 0)
        {
            s_hangUpAtTheEnd ??= PosixSignalRegistration.Create(PosixSignal.SIGHUP, static context => context.Cancel = true);
        }

        _registrations.ForEach(registration => registration.Dispose());
    }

    private void Handle(PosixSignalContext context)
    {
        bool isFirst = Interlocked.Increment(ref _signals) == 1;
        bool isHangUp = context.Signal is PosixSignal.SIGHUP;
        context.Cancel = isFirst || isHangUp;
        if (isFirst || !isHangUp)
        {
            observer.OnSignal(context.Signal, endsAtOnce: !isFirst);
        }

        if (isFirst)
        {
            ServiceLog.Signalled(log, context.Signal);
            end.Quit(MigrationHost.Cancelled);
        }
    }
}
