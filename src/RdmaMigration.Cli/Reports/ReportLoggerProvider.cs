using Microsoft.Extensions.Logging;

namespace RdmaMigration.Cli.Reports;

/// <summary>Logs for a person who watches: the message alone, between the lines of the report.</summary>
internal sealed class ReportLoggerProvider(ReportThread report) : ILoggerProvider
{
    /// <summary>The engine's events with the reason of a failure, which the result has too: a person reads it once.</summary>
    private static readonly string[] s_inTheResult = ["LoadFailed", "SendFailed"];

    public ILogger CreateLogger(string categoryName) => new ReportLogger(report);

    public void Dispose()
    {
    }

    private sealed class ReportLogger(ReportThread report) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!s_inTheResult.Contains(eventId.Name))
            {
                string text = formatter(state, exception);
                report.Tell(logLevel, exception is null ? text : $"{text}: {exception}");
            }
        }
    }
}
