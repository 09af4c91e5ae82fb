using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Service;

namespace RdmaMigration.Cli.Reports;

/// <summary>
/// Feeds a view from a thread of its own, so that a full pipe or a stopped terminal holds up neither the main loop nor a signal. A report that cannot be
/// written ends nothing: the machine that moves is worth more.
/// </summary>
internal sealed class ReportThread : IMigrationObserver, IDisposable
{
    /// <summary>How long the end waits for output that nobody reads; quit must end the process within 5 s.</summary>
    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(2);

    private readonly object _gate = new();
    private readonly Queue<Report> _reports = new();
    private readonly MigrationView _view;
    private readonly TextWriter _error;
    private readonly Thread _thread;
    private bool _closed;
    private bool _isLossTold;
    private volatile MachineProcess? _process;

    /// <param name="view">Shows what is reported.</param>
    /// <param name="error">For why it cannot.</param>
    public ReportThread(MigrationView view, TextWriter error)
    {
        _view = view;
        _error = error;
        _thread = new Thread(Run) { Name = "report", IsBackground = true };
        _thread.Start();
    }

    public void OnStarted(MachineProcess process)
    {
        _process = process;
        if (process.Uri is { } uri)
        {
            Add(new Report.Listening(uri.ToString()));
        }
    }

    public void OnStatusChanged(MigrationInfo migration) => Add(new Report.Changed(migration));

    public void OnSignal(PosixSignal signal, bool endsAtOnce)
    {
        if (endsAtOnce)
        {
            _view.Abandon();
        }
        else
        {
            Tell(LogLevel.Information, "cancelling; send the signal again to exit at once");
        }
    }

    /// <summary>Something that a person should know. Any thread, also while the process ends.</summary>
    public void Tell(LogLevel level, string text) => Add(new Report.Message(level, text));

    /// <summary>Has everything shown that was reported, unless nobody reads it.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join(s_lastWords);
    }

    private void Add(Report report)
    {
        lock (_gate)
        {
            if (!_closed)
            {
                _reports.Enqueue(report);
                Monitor.Pulse(_gate);
            }
        }
    }

    private void Run()
    {
        try
        {
            long? due = null;
            while (Next(due, out Report? report))
            {
                if (report is null)
                {
                    Show(() => _view.Progress(_process!.Query()));

                    // From here, not from when it was due: what nobody took for a while is not made up for.
                    due = Stopwatch.GetTimestamp() + Ticks(_view.Interval);
                    continue;
                }

                if (report is Report.Changed changed)
                {
                    due = !IsRunning(changed.Migration) || _process is null ? null : due ?? Stopwatch.GetTimestamp() + Ticks(_view.Interval);
                }

                Show(() => Show(report));
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

    /// <summary>Waits for the next report, or until progress is due: then there is none. False when nothing more comes.</summary>
    private bool Next(long? due, out Report? report)
    {
        lock (_gate)
        {
            while (!_reports.TryDequeue(out report))
            {
                if (_closed)
                {
                    return false;
                }

                TimeSpan wait = due is null ? Timeout.InfiniteTimeSpan : Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due.Value);
                if (due is not null && wait <= TimeSpan.Zero)
                {
                    return true;
                }

                Monitor.Wait(_gate, due is null ? wait : wait + TimeSpan.FromMilliseconds(1));
            }

            return true;
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
            case Report.Message message:
                _view.Message(message.Level, message.Text);
                break;
        }
    }

    private static bool IsRunning(MigrationInfo migration) => migration.Status is not MigrationStatus.None && !migration.Status.IsFinal();

    private static long Ticks(TimeSpan span) => (long)(span.TotalSeconds * Stopwatch.Frequency);
}
