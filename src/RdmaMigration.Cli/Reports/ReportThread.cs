using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Service;

namespace RdmaMigration.Cli.Reports;

/// <summary>
/// Feeds a view from a thread of its own, so that a full pipe or a stopped terminal holds up neither the main loop nor a signal. A report that cannot be
/// written ends nothing: the machine that moves is worth more.
/// </summary>
internal sealed class ReportThread : IMigrationObserver, IDisposable
{
    /// <summary>How long the end waits for output that nobody reads; quit must end the process within 5 s.</summary>
    private static readonly TimeSpan s_drainTime = TimeSpan.FromSeconds(2);

    /// <summary>How long a second signal waits until standard error has taken its line.</summary>
    private static readonly TimeSpan s_lastError = TimeSpan.FromMilliseconds(500);

    private readonly ReportQueue _reports = new();
    private readonly MigrationView _view;
    private readonly TextWriter _error;
    private readonly Thread _thread;
    private bool _isLossTold;
    private volatile Func<MigrationInfo>? _query;

    /// <param name="view">Shows what is reported.</param>
    /// <param name="error">For why it cannot.</param>
    public ReportThread(MigrationView view, TextWriter error)
    {
        _view = view;
        _error = error;
        _thread = new Thread(Run) { Name = "report", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Between two reports of what a guest does: not on each redraw of a terminal.</summary>
    public TimeSpan GuestInterval => _view.GuestInterval;

    public void OnStarted(MachineProcess process)
    {
        OnStarted(process.Query);
        if (process.Uri is { } uri)
        {
            _reports.Add(new Report.Listening(uri.ToString()));
        }
    }

    /// <summary>Progress is reported from now on.</summary>
    /// <param name="query">What the migration is at. The report thread calls it.</param>
    public void OnStarted(Func<MigrationInfo> query) => _query = query;

    public void OnStatusChanged(MigrationInfo migration) => _reports.Add(new Report.Changed(migration));

    public void OnSignal(PosixSignal signal, bool endsAtOnce)
    {
        bool isSaving = _query?.Invoke() is { } migration && IsSavingTheOnly(migration);
        if (endsAtOnce)
        {
            _view.Abandon();
            if (isSaving)
            {
                // Written by a thread of its own: the signal ends the process also when nobody reads.
                Task.Run(() => _error.WriteLine($"rdmamig: {signal}: exiting before the machine was saved; the capture is incomplete")).Wait(s_lastError);
            }
        }
        else
        {
            Tell(LogLevel.Information, isSaving
                ? "the source may no longer have the machine: saving it before exiting; a second SIGINT or SIGTERM exits at once and loses it"
                : "cancelling; a second SIGINT or SIGTERM exits at once");
        }
    }

    /// <summary>What a synthetic guest does. Any thread.</summary>
    public void OnGuestRuns(GuestFigures figures) => _reports.Add(new Report.GuestRuns(figures));

    /// <summary>A synthetic guest's memory was looked at. Any thread.</summary>
    public void OnGuestVerified(GuestVerdict verdict) => _reports.Add(new Report.GuestVerified(verdict));

    /// <summary>Something that a person should know. Any thread, also while the process ends.</summary>
    public void Tell(LogLevel level, string text) => _reports.Add(new Report.Message(level, text));

    /// <summary>Has everything shown that was reported, unless nobody reads it.</summary>
    public void Dispose()
    {
        _reports.Add(new Report.End());
        _thread.Join(s_drainTime);
    }

    private void Run()
    {
        try
        {
            Deadline due = Deadline.Never;
            while (true)
            {
                if (_reports.TryTake(out Report? report, due))
                {
                    if (report is Report.End)
                    {
                        break;
                    }

                    if (report is Report.Changed changed)
                    {
                        due = !IsRunning(changed.Migration) || _query is null ? Deadline.Never : due.IsNever ? Deadline.After(_view.Interval) : due;
                    }

                    Show(() => Show(report));
                }
                else
                {
                    Show(() => _view.Progress(_query!()));

                    // From here, not from when it was due: what nobody took for a while is not made up for.
                    due = Deadline.After(_view.Interval);
                }
            }

            _view.Close();
        }
        catch (Exception defect)
        {
            _error.WriteLine($"rdmamig: reports stop because of a bug in this program; the migration continues: {defect}");
        }
    }

    /// <summary>Later reports are tried again: those to standard error still arrive, and a disk that was full may have room.</summary>
    private void Show(Action show)
    {
        try
        {
            show();
        }
        catch (OutputException unwritable)
        {
            if (!_isLossTold)
            {
                _isLossTold = true;
                _error.WriteLine($"rdmamig: {unwritable.Message}; the migration continues, and the exit code reports its result");
            }
        }
    }

    private void Show(Report report)
    {
        switch (report)
        {
            case Report.Listening listening:
                _view.Listening(listening.Uri);
                break;
            case Report.Changed changed:
                _view.Changed(changed.Migration);
                break;
            case Report.GuestRuns guest:
                _view.GuestRuns(guest.Figures);
                break;
            case Report.GuestVerified guest:
                _view.GuestVerified(guest.Verdict);
                break;
            case Report.Message message:
                _view.Message(message.Level, message.Text);
                break;
        }
    }

    /// <summary>The machine is complete, may exist nowhere else, and is not in its file yet.</summary>
    private static bool IsSavingTheOnly(MigrationInfo migration) =>
        migration.Phase is MigrationPhase.Saving && (migration.IsDecided || migration.Destination is not null);

    private static bool IsRunning(MigrationInfo migration) => migration.Status is not MigrationStatus.None && !migration.Status.IsFinal();
}
