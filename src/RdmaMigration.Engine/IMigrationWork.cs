namespace RdmaMigration.Engine;

/// <summary>
/// The work of one <see cref="Migration"/>, done on its thread: <see cref="ReceiveWork"/>, <see cref="SendWork"/> or <see cref="LiveSendWork"/>. The main
/// thread disposes it after the join.
/// </summary>
internal interface IMigrationWork : IDisposable
{
    /// <summary>The thread's name, as QEMU calls it.</summary>
    string ThreadName { get; }

    /// <summary>Starts the timers. Main thread, before the thread starts.</summary>
    void Begin();

    /// <summary>Does the work, on the migration's thread. Returns when it has succeeded.</summary>
    void Run();

    /// <summary>Reports to the other side that <see cref="Run"/> has failed. On the migration's thread; the status is set already.</summary>
    void AfterFailure();

    /// <summary>Makes a blocked read or write return. Any thread; must not block.</summary>
    void Interrupt(string reason);

    /// <summary>
    /// The process ends: limits the time in which the other side may accept the report of a result that is already decided. Main thread; must not block.
    /// </summary>
    void LimitReport(string reason);

    /// <summary>migrate-continue: goes on with the switchover. False when the work does not wait for that. Main thread.</summary>
    bool TryContinue() => false;

    /// <summary>migrate-set-parameters: sends with these limits from now on. Nothing to do where nothing is sent. Main thread; must not block.</summary>
    void SetLimits(ParameterSet parameters)
    {
    }

    /// <summary><see cref="Run"/> has failed: the figures stand still. On the migration's thread, before the status says so.</summary>
    /// <param name="isStopped">Somebody here stopped the migration, so what the work itself met is not reported.</param>
    /// <returns>What to add to the reason; null for nothing.</returns>
    string? OnFailed(bool isStopped);

    /// <summary>Logs the failure.</summary>
    void LogFailure(string reason);

    /// <summary>Adds the figures. Any thread, also during and after the teardown.</summary>
    MigrationInfo Describe(MigrationInfo info);
}
