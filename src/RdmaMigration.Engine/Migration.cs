using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;

namespace RdmaMigration.Engine;

/// <summary>
/// What runs migrations, in either direction, one at a time: what may be asked of it while they run. Created on the main thread; what may be called from
/// elsewhere says so.
/// </summary>
public abstract class Migration : IDisposable
{
    private MigrationSession? _current;
    private MigrationInfo _last = new() { Status = MigrationStatus.None };

    private protected Migration(MainLoop loop, ILogger log)
    {
        Loop = loop;
        Log = log;
    }

    /// <summary>Called on the main thread, with the big lock held, after each transition of each migration, in order.</summary>
    public event Action<MigrationInfo>? StatusChanged;

    /// <summary>A migration runs, or ended and is not torn down yet. Any thread.</summary>
    public bool IsBusy => Volatile.Read(ref _current) is not null;

    private protected MainLoop Loop { get; }

    private protected ILogger Log { get; }

    /// <summary>The exit code of a quit that waits for the current migration's end.</summary>
    private protected int? QuitCode { get; set; }

    /// <summary>query-migrate: the migration that runs, else the last one with its error, however often it is asked. Any thread.</summary>
    public MigrationInfo Query() => Volatile.Read(ref _current)?.Query() ?? Volatile.Read(ref _last);

    /// <summary>migrate-cancel: ends the migration that runs, if one does. Any thread; the status tells when it has ended.</summary>
    public void Cancel(string reason = "cancelled") => Loop.Schedule(() => _current?.Stop(FailureReason.Cancelled, reason));

    /// <summary>quit: cancels what runs, tears down, then ends the main loop with the code. Any thread.</summary>
    public void Quit(int exitCode) => Loop.Schedule(() =>
    {
        QuitCode ??= exitCode;
        if (_current is not null)
        {
            _current.Stop(FailureReason.Cancelled, QuitReason);
        }
        else
        {
            QuitSoon();
        }
    });

    /// <summary>Frees what outlives a migration. After the main loop has ended.</summary>
    public abstract void Dispose();

    /// <summary>What a migration that a quit ends is told.</summary>
    private protected abstract string QuitReason { get; }

    /// <summary>Takes no further migration but what <see cref="TryServeLast"/> begins. Main thread.</summary>
    private protected virtual void StopTaking()
    {
    }

    /// <summary>Begins a migration that must not be missed although this ends; false when there is none. Main thread; none runs.</summary>
    private protected virtual bool TryServeLast() => false;

    /// <summary>A migration is over and torn down, and has ended so. Main thread.</summary>
    private protected abstract void OnEnded(MigrationInfo info);

    /// <summary>Lets a session run. Main thread; none runs.</summary>
    private protected void Run(MigrationSession session)
    {
        Volatile.Write(ref _current, session);
        session.Start();
    }

    /// <summary>For a session: tells a transition.</summary>
    private protected void Changed(MigrationInfo info) => StatusChanged?.Invoke(info);

    /// <summary>For a session: it is over.</summary>
    private protected void Ended(MigrationSession session)
    {
        MigrationInfo info = session.Query();
        Volatile.Write(ref _last, info);
        Volatile.Write(ref _current, null);
        OnEnded(info);
        if (QuitCode is not null)
        {
            QuitSoon();
        }
    }

    /// <summary>Ends the main loop behind what is scheduled already, which may begin a migration. No migration runs.</summary>
    private void QuitSoon()
    {
        StopTaking();
        Loop.Schedule(() =>
        {
            if (_current is null && !TryServeLast())
            {
                Loop.Quit(QuitCode!.Value);
            }
        });
    }
}
