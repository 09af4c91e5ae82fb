using Microsoft.Extensions.Logging;
using RdmaMigration.Cli.Guest;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Reports;

/// <summary>Shows what happens, in one of three forms. Used by the report thread alone, except where a member says otherwise.</summary>
internal abstract class MigrationView
{
    /// <summary>Between two calls of <see cref="Progress"/>.</summary>
    public abstract TimeSpan Interval { get; }

    /// <summary>Between two calls of <see cref="GuestRuns"/>.</summary>
    public virtual TimeSpan GuestInterval => Interval;

    /// <summary>A source can connect.</summary>
    public abstract void Listening(string uri);

    /// <summary>Each transition of each migration, in order.</summary>
    public abstract void Changed(MigrationInfo migration);

    /// <summary>While a migration runs.</summary>
    public abstract void Progress(MigrationInfo migration);

    /// <summary>Something that a person should know.</summary>
    public abstract void Message(LogLevel level, string text);

    /// <summary>What a synthetic guest does, from time to time.</summary>
    public abstract void GuestRuns(GuestFigures figures);

    /// <summary>A synthetic guest's memory was looked at.</summary>
    public abstract void GuestVerified(GuestVerdict verdict);

    /// <summary>Nothing more comes.</summary>
    public virtual void Close()
    {
    }

    /// <summary>The process is about to be killed: leave the terminal as it was. Any thread.</summary>
    public virtual void Abandon()
    {
    }
}
