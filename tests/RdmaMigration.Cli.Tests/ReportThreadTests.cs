using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Reports;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Tests;

public class ReportThreadTests
{
    [Fact]
    public void Reports_are_shown_in_order_and_all_of_them_before_the_end()
    {
        var view = new RecordingView();

        using (var report = new ReportThread(view))
        {
            for (var i = 0; i < 1000; i++)
            {
                report.Tell(LogLevel.Information, $"{i}");
            }
        }

        Assert.Equal(Enumerable.Range(0, 1000).Select(i => $"{i}").Append("closed"), view.Shown);
    }

    [Fact]
    public void A_terminal_that_takes_nothing_holds_up_neither_the_main_loop_nor_the_end()
    {
        var goesOn = new TaskCompletionSource();
        var view = new RecordingView { Before = goesOn.Task.Wait };

        using (var report = new ReportThread(view))
        {
            report.OnStatusChanged(new MigrationInfo { Status = MigrationStatus.Setup });
            report.OnStatusChanged(new MigrationInfo { Status = MigrationStatus.Failed });
        }

        Assert.Empty(view.Shown);
        goesOn.SetResult();
    }

    [Fact]
    public void Words_after_the_end_are_dropped()
    {
        var view = new RecordingView();
        var report = new ReportThread(view);
        report.Dispose();

        report.Tell(LogLevel.Warning, "late");

        Assert.Equal(["closed"], view.Shown);
    }

    private sealed class RecordingView : MigrationView
    {
        public List<string> Shown { get; } = [];

        public Action Before { get; init; } = () => { };

        public override TimeSpan Interval => TimeSpan.FromHours(1);

        public override void Listening(string uri) => Show(uri);

        public override void Changed(MigrationInfo migration) => Show(migration.Status.ToQmp());

        public override void Progress(MigrationInfo migration) => Show("progress");

        public override void Message(LogLevel level, string text) => Show(text);

        public override void Close() => Show("closed");

        private void Show(string text)
        {
            Before();
            Shown.Add(text);
        }
    }
}
