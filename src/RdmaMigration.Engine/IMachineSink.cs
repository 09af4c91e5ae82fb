using RdmaMigration.Linux;
using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// What becomes of a machine that arrives. The members are for the thread mig/dst/main, except where one says otherwise. Disposed on the main thread, after
/// the join and before the machine's RAM.
/// </summary>
internal interface IMachineSink : IDisposable
{
    /// <summary>A source is there: what can be refused already, is.</summary>
    void Begin();

    /// <summary>The machine is known, and its RAM not allocated yet. Refused here or in <see cref="CheckRoom"/>, it goes on running at the source.</summary>
    void Announce(StreamConfiguration configuration);

    /// <summary>Looked at now and then while RAM arrives: that so many bytes of it can be taken.</summary>
    void CheckRoom(ulong ramBytes);

    /// <summary>
    /// Takes the machine, which is complete. When it returns, the machine is safe where it goes; only a source that cannot be told of it may be left with less, and
    /// then <see cref="MigrationInfo.Confirmed"/> says so.
    /// </summary>
    void Take(CapturedStream machine);

    /// <summary>The migration has failed, here or before it came here: what is left to tell.</summary>
    void AfterFailure();

    /// <summary>Makes a call that blocks return. Main thread; must not block. The session's token is cancelled.</summary>
    void Interrupt(string reason);

    /// <summary>What is to be said of the machine behind why it failed; null for nothing.</summary>
    /// <param name="isStopped">It was stopped from here: then only the reason of that is known to the reader.</param>
    string? Remark(bool isStopped);

    /// <summary>Adds what it knows. Any thread.</summary>
    MigrationInfo Describe(MigrationInfo info);
}

/// <summary>The session that a sink belongs to.</summary>
internal interface IMachineSession : IDeliverySession
{
    /// <summary>Signalled when the session is to end soon.</summary>
    CancellationToken Cancellation { get; }

    /// <summary>The source, for messages.</summary>
    string Source { get; }

    /// <summary>The source can be told how it ends, and keeps its machine until then.</summary>
    bool TellsSource { get; }

    /// <summary>Why the source is lost; null while it is there, as far as is known. Any thread.</summary>
    ConnectionLostException? SourceLoss { get; }

    /// <summary>
    /// Has <see cref="SourceLoss"/> tell also when a source goes away that has sent everything and waits to be told how it ended. Until what this returns is disposed
    /// the source is told nothing. Null when it cannot be told anything.
    /// </summary>
    IDisposable? WatchSource();

    /// <summary>Goes on to a phase.</summary>
    void Enter(MigrationPhase phase);

    /// <summary>It succeeds: from now on nothing stops it.</summary>
    /// <exception cref="OperationCanceledException">It was stopped before.</exception>
    void Decide();

    /// <summary>Calls on the main thread after the time, unless the session has ended. Any thread.</summary>
    void After(TimeSpan time, Action expired);

    /// <summary>Makes the session end soon, for good. Main thread; the first reason stays.</summary>
    void Stop(FailureReason reason, string description);
}
