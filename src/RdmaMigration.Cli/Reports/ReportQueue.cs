using System.Diagnostics.CodeAnalysis;
using RdmaMigration.Linux;

namespace RdmaMigration.Cli.Reports;

/// <summary>
/// Reports in their order. Whoever waits for the next one sleeps at once: <see cref="System.Collections.Concurrent.BlockingCollection{T}"/> spins before that,
/// which takes CPU time from the migration.
/// </summary>
internal sealed class ReportQueue
{
    private readonly Queue<Report> _reports = new();

    /// <summary>Any thread.</summary>
    public void Add(Report report)
    {
        lock (_reports)
        {
            _reports.Enqueue(report);
            Monitor.Pulse(_reports);
        }
    }

    /// <summary>Waits for the next report. One thread.</summary>
    /// <returns>False when the time is up.</returns>
    public bool TryTake([NotNullWhen(true)] out Report? report, Deadline due)
    {
        lock (_reports)
        {
            while (!_reports.TryDequeue(out report))
            {
                if (due.HasPassed)
                {
                    return false;
                }

                Monitor.Wait(_reports, due.Milliseconds);
            }

            return true;
        }
    }
}
