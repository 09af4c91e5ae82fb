using RdmaMigration.Streams;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// Where a machine that does not run is taken from to be sent: a file (<see cref="CaptureOrigin"/>) or the memory of this process (<see cref="KeptOrigin"/>).
/// The members are for the thread mig/src/main, except where one says otherwise. Disposed on the main thread, after the join.
/// </summary>
internal interface IMachineOrigin : IDisposable
{
    /// <summary>Its name, for messages.</summary>
    string Name { get; }

    /// <summary>What the migration is at until the machine is there.</summary>
    MigrationPhase Phase { get; }

    /// <summary>The file, which no destination may overwrite; null for none. After <see cref="Load"/>.</summary>
    FileNode? File { get; }

    /// <summary>The run state that the machine is sent with; null for the one that its stream has.</summary>
    string? RunState => null;

    /// <summary>Makes the machine ready to be sent. Once.</summary>
    /// <returns>The machine. It lives as long as this.</returns>
    CapturedStream Load();

    /// <summary>The load is over, or the migration has failed: the load's time stands still.</summary>
    void EndLoad();

    /// <summary>Adds the figures. Any thread.</summary>
    MigrationInfo Describe(MigrationInfo info);
}

/// <summary>The machine that this process keeps. It stays the process's, which does not free it while a migration runs.</summary>
/// <param name="machine">The machine.</param>
/// <param name="runState">As <see cref="RunState"/>.</param>
internal sealed class KeptOrigin(KeptMachine machine, string? runState) : IMachineOrigin
{
    public string? RunState => runState;

    public string Name => "the machine in memory";

    public MigrationPhase Phase => MigrationPhase.Connecting;

    public FileNode? File => null;

    public CapturedStream Load() => machine.Content;

    public void EndLoad()
    {
    }

    public MigrationInfo Describe(MigrationInfo info) => info;

    public void Dispose()
    {
    }
}
