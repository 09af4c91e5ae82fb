using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Service;

namespace RdmaMigration.Cli.Receive;

/// <summary>
/// Feeds a view from a thread of its own, so that a full pipe or a stopped terminal holds up neither the main loop nor a signal.
/// </summary>
internal sealed class ReportThread : IReceiverObserver, IDisposable
{
    /// <summary>How long the end waits for output that nobody reads; quit must end the process within 5 s.</summary>
    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(2);

    private readonly BlockingCollection<Report> _reports = [];
    private readonly ReceiveView _view;
    private readonly Thread _thread;
    private volatile IncomingMigration? _migration;

    public ReportThread(ReceiveView view)
    {
        _view = view;
        _thread = new Thread(Run) { Name = "report", IsBackground = true };
        _thread.Start();
    }

    public void OnListening(IncomingMigration migration)
    {
        _migration = migration;
        _reports.Add(new Report.Listening($"rdma:{migration.LocalEndPoint}"));
    }

    public void OnStatusChanged(MigrationInfo migration) => _reports.Add(new Report.Changed(migration));

    public void OnSignal(PosixSignal signal, bool endsAtOnce)
    {
        if (endsAtOnce)
        {
            _view.Abandon();
        }
        else
        {
            Tell(LogLevel.Information, "cancelling; once more to end at once");
        }
    }

    /// <summary>Something that a person should know. Any thread.</summary>
    public void Tell(LogLevel level, string text)
    {
        // A logger may speak up while the process ends.
        if (!_reports.IsAddingCompleted)
        {
            _reports.Add(new Report.Message(level, text));
        }
    }

    /// <summary>Has everything shown that was reported, unless nobody reads it.</summary>
    public void Dispose()
    {
        _reports.CompleteAdding();
        if (_thread.Join(s_lastWords))
        {
            _reports.Dispose();
        }
    }

    private void Run()
    {
        var due = Stopwatch.GetTimestamp();
        var runs = false;
        try
        {
            while (!_reports.IsCompleted)
            {
                var wait = runs ? Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due) : Timeout.InfiniteTimeSpan;
                if (_reports.TryTake(out var report, runs && wait < TimeSpan.Zero ? TimeSpan.Zero : wait))
                {
                    if (report is Report.Changed changed && runs != IsRunning(changed.Migration))
                    {
                        runs = !runs;
                        due = Stopwatch.GetTimestamp() + Ticks(_view.Interval);
                    }

                    Show(report);
                }
                else if (runs && _migration is not null)
                {
                    due += Ticks(_view.Interval);
                    _view.Progress(_migration.Query());
                }
            }

            _view.Close();
        }
        catch (IOException closed)
        {
            // Whoever read the output has gone; the machine that arrives is worth more than the report of it.
            Console.Error.WriteLine($"rdmamig: reports end here: {closed.Message}");
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
