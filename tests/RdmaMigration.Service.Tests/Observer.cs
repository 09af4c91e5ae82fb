using System.Runtime.InteropServices;
using RdmaMigration.Engine;

namespace RdmaMigration.Service.Tests;

/// <summary>Keeps what a host tells, and does what a test wants at that moment.</summary>
internal sealed class Observer : IMigrationObserver
{
    public Action<MachineProcess> Started { get; init; } = _ => { };

    public Action<MigrationInfo> Changed { get; init; } = _ => { };

    public MachineProcess? Process { get; private set; }

    public List<MigrationInfo> Changes { get; } = [];

    public List<(PosixSignal, bool)> Signals { get; } = [];

    public void OnStarted(MachineProcess process)
    {
        Process = process;
        Started(process);
    }

    public void OnStatusChanged(MigrationInfo migration)
    {
        Changes.Add(migration);
        Changed(migration);
    }

    public void OnSignal(PosixSignal signal, bool endsAtOnce)
    {
        lock (Signals)
        {
            Signals.Add((signal, endsAtOnce));
        }
    }
}
