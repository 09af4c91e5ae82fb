using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Reports;

/// <summary>A report for a view.</summary>
internal abstract record Report
{
    /// <summary>A source can connect.</summary>
    public sealed record Listening(string Uri) : Report;

    /// <summary>A migration went on to another status.</summary>
    public sealed record Changed(MigrationInfo Migration) : Report;

    /// <summary>Something that a person should know.</summary>
    public sealed record Message(LogLevel Level, string Text) : Report;

    /// <summary>What a synthetic guest does.</summary>
    public sealed record GuestRuns(GuestFigures Figures) : Report;

    /// <summary>A synthetic guest's memory was looked at.</summary>
    public sealed record GuestVerified(GuestVerdict Verdict) : Report;

    /// <summary>Nothing more is shown.</summary>
    public sealed record End : Report;
}
