using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Engine;
using Spectre.Console;

namespace RdmaMigration.Cli.Reports;

/// <summary>
/// A bar on the terminal while a migration runs, lines above it for what happened; the name of each capture on stdout unless that is the terminal too.
/// </summary>
internal sealed class LiveView(Screen screen) : MigrationView
{
    private const string ShowCursor = "\x1b[?25h";

    // Stderr is a terminal, else another view would be used; left to itself the library looks at stdout.
    private readonly IAnsiConsole _console = AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new AnsiConsoleOutput(screen.Error),
        Ansi = AnsiSupport.Yes,
        Interactive = InteractionSupport.Yes,
    });

    private readonly RateMeter _rate = new();
    private Bar? _bar;
    private MigrationPhase _phase;

    public override TimeSpan Interval { get; } = TimeSpan.FromMilliseconds(200);

    public override TimeSpan GuestInterval { get; } = TimeSpan.FromSeconds(5);

    public override void Listening(string uri) => Line($"listening on {uri}", Tone.Dim);

    public override void Changed(MigrationInfo migration)
    {
        if (migration.Status.IsFinal())
        {
            Close();
        }

        if (ProgressText.Transition(migration) is { } text)
        {
            Line(text, migration.Status switch
            {
                MigrationStatus.Completed when migration.Confirmed is false => Tone.Caution,
                MigrationStatus.Completed => Tone.Good,
                _ => migration.Status.IsFinal() ? Tone.Bad : Tone.Plain,
            });
        }

        if (migration.Status is MigrationStatus.Setup)
        {
            _bar = new Bar(_console);
        }
        else if (migration is { IsOutgoing: false, File: not null } && migration.Status.IsFinal() && !screen.OutputIsTerminal)
        {
            screen.Out.WriteLine(migration.File);
        }
    }

    public override void Progress(MigrationInfo migration)
    {
        if (migration.Phase != _phase)
        {
            _phase = migration.Phase;
            _rate.Restart();
        }

        (long done, long total) = ProgressText.Bytes(migration);
        double rate = _rate.Add(ProgressText.Elapsed(migration), done);
        _bar?.Show(ProgressText.Phase(migration), done, total, ProgressText.Figures(migration, rate));
    }

    public override void GuestRuns(GuestFigures figures) => Line(GuestText.Figures(figures), Tone.Dim);

    public override void GuestVerified(GuestVerdict verdict) => Line(GuestText.Verdict(verdict), verdict.IsIntact ? Tone.Good : Tone.Bad);

    public override void Message(LogLevel level, string text) => Line($"rdmamig: {text}", level switch
    {
        >= LogLevel.Error => Tone.Bad,
        LogLevel.Warning => Tone.Caution,
        _ => Tone.Plain,
    });

    public override void Close()
    {
        Bar? bar = _bar;
        _bar = null;
        bar?.Remove();
    }

    // A write of its own, not through the console: that one may be locked by the thread that is about to die.
    public override void Abandon() => screen.Error.Write(ShowCursor);

    private void Line(string text, Tone tone)
    {
        // A line that wraps above a bar would leave pieces of the bar behind it.
        bool interrupted = _bar is not null;
        Close();
        _console.Write(new Text(text + "\n", TextTable.StyleOf(tone)));
        if (interrupted)
        {
            _bar = new Bar(_console);
        }
    }

    /// <summary>One bar with its text, kept at the bottom of the terminal until <see cref="Remove"/>.</summary>
    private sealed class Bar
    {
        private readonly TaskCompletionSource _end = new();
        private readonly Task _shown;
        private ProgressTask? _task;

        public Bar(IAnsiConsole console) =>
            _shown = console.Progress()
                .AutoClear(true)
                .Columns(new ProgressBarColumn { Width = 30 }, new TaskDescriptionColumn { Alignment = Justify.Left })
                .StartAsync(context =>
                {
                    _task = context.AddTask("waiting");
                    _task.IsIndeterminate = true;
                    return _end.Task;
                });

        public void Show(string phase, long done, long total, string figures)
        {
            if (_task is null)
            {
                return;
            }

            _task.IsIndeterminate = total == 0;
            _task.MaxValue = Math.Max(1, total);
            _task.Value = done;
            _task.Description = Markup.Escape($"{phase}: {figures}");
        }

        public void Remove()
        {
            _end.SetResult();
            _shown.GetAwaiter().GetResult();
        }
    }
}
