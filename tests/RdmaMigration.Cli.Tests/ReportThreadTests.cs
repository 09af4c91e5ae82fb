using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Tests;

public class ReportThreadTests
{
    [Fact]
    public void Reports_are_shown_in_order_and_all_of_them_before_the_end()
    {
        RecordingView view = new();

        using (ReportThread report = new(view, TextWriter.Null))
        {
            for (int i = 0; i < 1000; i++)
            {
                report.Tell(LogLevel.Information, $"{i}");
            }
        }

        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"{i}").Append("closed"), view.Shown);
    }

    [Fact]
    public void A_terminal_that_takes_nothing_holds_up_neither_the_main_loop_nor_the_end()
    {
        TaskCompletionSource goesOn = new();
        RecordingView view = new() { Before = goesOn.Task.Wait };

        using (ReportThread report = new(view, TextWriter.Null))
        {
            report.OnStatusChanged(new MigrationInfo { Status = MigrationStatus.Setup });
            report.OnStatusChanged(new MigrationInfo { Status = MigrationStatus.Failed });
        }

        Assert.Empty(view.Shown);
        goesOn.SetResult();
    }

    [Fact]
    public void Progress_that_nobody_took_for_a_while_is_not_made_up_for()
    {
        using MachineProcess process = new(new MainLoop(), NullLogger<MachineProcess>.Instance);
        using SemaphoreSlim shown = new(0);
        TimeSpan interval = TimeSpan.FromMilliseconds(20);
        long takenAt = 0;
        long nextAt = 0;
        RecordingView view = new(interval) { OnProgress = Take };

        using (ReportThread report = new(view, TextWriter.Null))
        {
            report.OnStarted(process);
            report.OnStatusChanged(new MigrationInfo { Status = MigrationStatus.Active });
            Assert.True(shown.Wait(TimeSpan.FromSeconds(20)) && shown.Wait(TimeSpan.FromSeconds(20)));
            report.OnStatusChanged(new MigrationInfo { Status = MigrationStatus.Completed });
        }

        Assert.InRange(Stopwatch.GetElapsedTime(takenAt, nextAt), interval, TimeSpan.MaxValue);

        void Take()
        {
            if (takenAt == 0)
            {
                long began = Stopwatch.GetTimestamp();
                SpinWait.SpinUntil(() => Stopwatch.GetElapsedTime(began) > 5 * interval);
                takenAt = Stopwatch.GetTimestamp();
            }
            else if (nextAt == 0)
            {
                nextAt = Stopwatch.GetTimestamp();
            }

            shown.Release();
        }
    }

    [Fact]
    public void Words_after_the_end_are_dropped()
    {
        RecordingView view = new();
        ReportThread report = new(view, TextWriter.Null);
        report.Dispose();

        report.Tell(LogLevel.Warning, "late");

        Assert.Equal(["closed"], view.Shown);
    }

    [Fact]
    public void An_output_that_takes_nothing_is_told_once_and_later_reports_are_tried_again()
    {
        using StringWriter error = new();
        int tried = 0;
        RecordingView view = new() { Before = () => _ = ++tried < 3 ? throw new OutputException("cannot write", new IOException()) : tried };

        using (ReportThread report = new(view, error))
        {
            report.Tell(LogLevel.Warning, "first");
            report.Tell(LogLevel.Warning, "second");
            report.Tell(LogLevel.Warning, "third");
        }

        Assert.Equal(["third", "closed"], view.Shown);
        string said = error.ToString();
        Assert.StartsWith("rdmamig: cannot write", said, StringComparison.Ordinal);
        Assert.Equal(said.Length - 1, said.IndexOf('\n', StringComparison.Ordinal));
    }

    [Fact]
    public void A_defect_of_a_view_ends_the_reports_and_nothing_else()
    {
        using StringWriter error = new();
        RecordingView view = new() { Before = () => throw new InvalidOperationException("a defect") };

        using (ReportThread report = new(view, error))
        {
            report.Tell(LogLevel.Warning, "first");
        }

        Assert.StartsWith("rdmamig: ", error.ToString(), StringComparison.Ordinal);
        Assert.Contains("System.InvalidOperationException: a defect", error.ToString(), StringComparison.Ordinal);
    }

    private sealed class RecordingView(TimeSpan? interval = null) : MigrationView
    {
        public List<string> Shown { get; } = [];

        public Action Before { get; init; } = () => { };

        public Action OnProgress { get; init; } = () => { };

        public override TimeSpan Interval { get; } = interval ?? TimeSpan.FromHours(1);

        public override void Listening(string uri) => Show(uri);

        public override void Changed(MigrationInfo migration) => Show(migration.Status.ToQmp());

        public override void Progress(MigrationInfo migration) => OnProgress();

        public override void GuestRuns(GuestFigures figures) => Show(GuestText.Figures(figures));

        public override void GuestVerified(GuestVerdict verdict) => Show(GuestText.Verdict(verdict));

        public override void Message(LogLevel level, string text) => Show(text);

        public override void Close() => Show("closed");

        private void Show(string text)
        {
            Before();
            Shown.Add(text);
        }
    }
}
