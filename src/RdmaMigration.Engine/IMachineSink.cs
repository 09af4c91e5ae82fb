using RdmaMigration.Streams;

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

    /// <summary>Called now and then while RAM arrives: throws when this many bytes of it cannot be taken.</summary>
    void CheckRoom(ulong ramBytes);

    /// <summary>
    /// Takes the machine, which is complete. When it returns, the machine is safe where it goes; only a source that cannot be told of it may be left with
    /// less, and then <see cref="MigrationInfo.Confirmed"/> says so. What the machine holds is freed after the migration, unless the sink has taken it over
    /// (<see cref="CapturedMachine.HandOver"/>).
    /// </summary>
    void Take(IMachine machine);

    /// <summary>The migration has failed, here or before it came here: tells whoever is left to tell.</summary>
    void AfterFailure();

    /// <summary>Makes a call that blocks return. Any thread; must not block. The migration's token is cancelled.</summary>
    void Interrupt(string reason);

    /// <summary>What to add to the reason of a failure; null for nothing.</summary>
    /// <param name="isStopped">Somebody here stopped the migration, so what it met by itself is not reported.</param>
    string? Remark(bool isStopped);

    /// <summary>Adds what it knows. Any thread.</summary>
    MigrationInfo Describe(MigrationInfo info);
}
