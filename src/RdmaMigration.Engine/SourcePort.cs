using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>Where sources come in, for as long as the process receives. Main thread, except where one says otherwise.</summary>
internal sealed class SourcePort : IDisposable
{
    private readonly CompletionWaiter _waiter;
    private readonly ILogger _log;
    private ChannelListener? _listener;

    /// <param name="options">Where, and what becomes of machines.</param>
    /// <param name="log">For refused and failed peers.</param>
    public SourcePort(IncomingOptions options, ILogger log)
    {
        Options = options;
        _log = log;
        _waiter = new CompletionWaiter(log);

        // Now: a standard stream that is taken over leaves another file under its number.
        File = FileNode.Of(options.Uri);
    }

    /// <summary>What was asked.</summary>
    public IncomingOptions Options { get; }

    /// <summary>The file that machines are read from; null where it is none.</summary>
    public FileNode? File { get; }

    /// <summary>Where it listens, with the port that was chosen when 0 was asked. Any thread.</summary>
    public MigrationUri? Uri => _listener?.Uri;

    /// <summary>The address on the network; null when it listens on none. Any thread.</summary>
    public IPEndPoint? LocalEndPoint => _listener?.LocalEndPoint;

    /// <summary>One machine after the other is taken.</summary>
    public bool TakesMany => !Options.Once && !Options.UntilCompleted && !BecomesTheMachine;

    /// <summary>The machine that arrives is this process's machine then, so that one is taken, and the process lives on with it.</summary>
    public bool BecomesTheMachine => Options.Target is LiveTarget or KeepTarget;

    /// <summary>What it reads comes once: a file, a command, a descriptor.</summary>
    public bool IsSingle => _listener is { IsSingle: true };

    /// <summary>The process ends after the first migration. One that has a machine of its own lives on.</summary>
    public bool EndsAfterOne => Options.Once || (IsSingle && !BecomesTheMachine);

    /// <summary>Listens, or opens what is read once.</summary>
    /// <param name="accepted">Called with each source's channel on another thread; it must not block.</param>
    /// <exception cref="ConnectFailedException">It cannot listen there, or open that.</exception>
    public void Open(Action<IncomingChannel> accepted) =>
        _listener = ChannelListener.Open(_waiter, Options.Uri, Options.Parameters.ForListener(queues: TakesMany), accepted, _log);

    /// <summary>A migration is over, and the next source may come. It can connect when this returns, which waits for that without the big lock.</summary>
    /// <param name="hasCompleted">It took its machine.</param>
    public void Resume(bool hasCompleted)
    {
        if (TakesMany || !hasCompleted)
        {
            _listener?.Resume();
        }
    }

    /// <summary>Lets nobody in any more.</summary>
    public void StopListening() => _listener?.StopListening();

    /// <summary>A source that waits and has sent something: perhaps everything, and then it takes its machine for arrived. Null for none.</summary>
    public IncomingChannel? TakeWaiting() => _listener?.TakeWaiting();

    /// <summary>Stops listening and ends the completion waiter. No channel is in use.</summary>
    public void Dispose()
    {
        _listener?.Dispose();
        _waiter.Dispose();
    }
}
