using System.Runtime.InteropServices;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>Receives reports about the migrations of a host. Every call must return at once: the main loop waits for it.</summary>
internal interface IMigrationObserver
{
    /// <summary>A source can connect now, or sending begins. Main thread, before the loop runs.</summary>
    /// <param name="process">What runs migrations; may be queried from any thread until <see cref="MigrationHost.Run"/> returns.</param>
    void OnStarted(MachineProcess process);

    /// <summary>A migration went on to another status. Main thread, with the big lock held, in order.</summary>
    void OnStatusChanged(MigrationInfo migration);

    /// <summary>A signal asked for an orderly end, or, the second time, for an end at once. Any thread.</summary>
    void OnSignal(PosixSignal signal, bool endsAtOnce);
}
