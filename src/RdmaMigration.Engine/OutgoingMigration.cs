using Microsoft.Extensions.Logging;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The outgoing side: sends a captured machine to a destination. Created and started on the main thread; what may be called from elsewhere says so.
/// </summary>
public sealed class OutgoingMigration : Migration
{
    private readonly Func<OutgoingOptions, CancellationToken, OutgoingChannel> _open;
    private readonly OutgoingConnector? _connector;

    /// <summary>Prepares; <see cref="Start"/> sends.</summary>
    public OutgoingMigration(MainLoop loop, ILogger<OutgoingMigration> log)
        : base(loop, log)
    {
        _connector = new OutgoingConnector();
        _open = _connector.Open;
    }

    /// <summary>For tests: with channels of their own.</summary>
    internal OutgoingMigration(MainLoop loop, Func<OutgoingOptions, CancellationToken, OutgoingChannel> open, ILogger log)
        : base(loop, log) => _open = open;

    private protected override string QuitReason => "the source quits";

    /// <summary>migrate: sends a capture. Any thread; the status tells how it goes.</summary>
    /// <param name="path">The capture's file, which is read and nothing else.</param>
    /// <param name="options">Destination and limits.</param>
    /// <exception cref="InvalidOperationException">A migration runs; thrown on the main thread.</exception>
    public void Start(string path, OutgoingOptions options)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(options);
        Loop.Schedule(() =>
        {
            if (IsBusy)
            {
                throw new InvalidOperationException("a migration runs already");
            }

            if (QuitCode is null)
            {
                Run(new OutgoingSession(Loop, path, options, _open, Log, Changed, Ended));
            }
        });
    }

    /// <summary>Ends the completion waiter. After the main loop has ended.</summary>
    public override void Dispose() => _connector?.Dispose();

    private protected override void OnEnded(MigrationInfo info)
    {
    }
}
