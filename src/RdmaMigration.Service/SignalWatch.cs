using System.Runtime.InteropServices;
using RdmaMigration.Linux;

namespace RdmaMigration.Service;

/// <summary>
/// Takes SIGINT, SIGTERM and SIGHUP until it is disposed. The first signal is for an orderly end. A second SIGINT or SIGTERM ends the process at once, by that
/// signal. A second SIGHUP does not: a terminal that closes sends it twice, by the kernel and by the shell, and systemd sends it after SIGTERM. A SIGHUP that
/// was ignored at start, as under nohup, stays ignored.
/// </summary>
internal sealed class SignalWatch : IDisposable
{
    /// <summary>Lives until the process ends: a SIGHUP that comes when the work is done already does not replace the exit code.</summary>
    private static PosixSignalRegistration? s_hangUpAtTheEnd;

    private readonly List<IDisposable> _registrations = [];
    private readonly Action<PosixSignal, bool> _signalled;
    private int _signals;

    /// <param name="signalled">Called on any thread with each signal that means something, and whether it ends the process at once.</param>
    public SignalWatch(Action<PosixSignal, bool> signalled)
    {
        _signalled = signalled;
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle));
        _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle));
        if (!Signals.IsHangUpIgnored)
        {
            _registrations.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle));
        }
    }

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
            _signalled(context.Signal, !isFirst);
        }
    }
}
