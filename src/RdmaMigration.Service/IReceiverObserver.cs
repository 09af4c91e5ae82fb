using System.Runtime.InteropServices;
using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>Is told what a receiver does. Every call must return at once: the main loop waits for it.</summary>
public interface IReceiverObserver
{
    /// <summary>A source can connect now. Main thread, before the loop runs.</summary>
    /// <param name="migration">What listens; may be queried from any thread until <see cref="ReceiverHost.Run"/> returns.</param>
    void OnListening(IncomingMigration migration);

    /// <summary>A migration went on to another status. Main thread, with the big lock held, in order.</summary>
    void OnStatusChanged(MigrationInfo migration);

    /// <summary>A signal asked for an orderly end, or, the second time, for an end at once. Any thread.</summary>
    void OnSignal(PosixSignal signal, bool endsAtOnce);
}
