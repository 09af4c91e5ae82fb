using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Reports;

/// <summary>Plain lines on stderr every few seconds, for logs and pipes; the name of each capture on stdout.</summary>
internal sealed class LinesView(Screen screen, TimeSpan? interval = null) : MigrationView
{
    private readonly RateMeter _rate = new();
    private MigrationPhase _phase;

    public override TimeSpan Interval { get; } = interval ?? TimeSpan.FromSeconds(5);

    public override void Listening(string uri) => screen.Error.WriteLine($"listening on {uri}");

    public override void Changed(MigrationInfo migration)
    {
        if (ProgressText.Transition(migration) is { } text)
        {
            screen.Error.WriteLine(text);
        }

        if (migration is { IsOutgoing: false, File: not null } && migration.Status.IsFinal())
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

        double rate = _rate.Add(ProgressText.Elapsed(migration), ProgressText.Bytes(migration).Done);
        screen.Error.WriteLine($"{ProgressText.Phase(migration)}: {ProgressText.Figures(migration, rate)}");
    }

    public override void GuestRuns(GuestFigures figures) => screen.Error.WriteLine(GuestText.Figures(figures));

    public override void GuestVerified(GuestVerdict verdict) => screen.Error.WriteLine(GuestText.Verdict(verdict));

    public override void Message(LogLevel level, string text) => screen.Error.WriteLine($"rdmamig: {text}");
}
