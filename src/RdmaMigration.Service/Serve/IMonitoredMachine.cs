using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>The machine that a monitor commands. The members are for the main thread, with the big lock held.</summary>
internal interface IMonitoredMachine
{
    /// <summary>There is a machine that cont can start.</summary>
    bool CanStart { get; }

    /// <summary>The run state that the machine had at its source, by QEMU's name; null for a machine that starts when it arrives.</summary>
    string? StateAtSource { get; }

    /// <summary>What becomes of a machine that arrives.</summary>
    MachineTarget Target { get; }

    /// <summary>The machine's program runs in this process at this moment; null for a machine whose program never does.</summary>
    bool? IsRunning { get; }

    /// <summary>cont.</summary>
    /// <exception cref="QmpException">It cannot start here.</exception>
    void Start();

    /// <summary>stop, for a machine that runs.</summary>
    /// <exception cref="QmpException">It cannot stop now.</exception>
    void Stop();

    /// <summary>Begins to send the machine.</summary>
    /// <param name="options">Destination and limits.</param>
    /// <param name="isRunning">Its destination is to run it.</param>
    /// <exception cref="QmpException">It cannot be sent now.</exception>
    /// <exception cref="MigrationException">The engine refuses.</exception>
    void Send(OutgoingOptions options, bool isRunning);

    /// <summary>Begins to wait for a machine.</summary>
    /// <exception cref="QmpException">No machine can arrive now.</exception>
    /// <exception cref="MigrationException">The engine refuses.</exception>
    void Receive(IncomingOptions options);

    /// <summary>Frees the machine.</summary>
    /// <exception cref="QmpException">It is not the monitor's.</exception>
    /// <exception cref="MigrationException">There is none, or a migration runs.</exception>
    void Drop();
}
