using RdmaMigration.Engine;

namespace RdmaMigration.Service;

/// <summary>A machine that a process keeps in memory. It does not run, so starting and stopping it only decides how its next destination gets it.</summary>
/// <param name="process">Keeps the machine.</param>
internal sealed class MonitoredKeptMachine(MachineProcess process) : IMonitoredMachine
{
    public bool CanStart => process.Kept is not null;

    public string? StateAtSource => process.Kept?.RunState;

    public MachineTarget Target { get; } = new KeepTarget();

    public bool? IsRunning => null;

    public void Start()
    {
    }

    public void Stop()
    {
    }

    public void Send(OutgoingOptions options, bool isRunning)
    {
        // The stream stays as it is when it has this run state already.
        bool isAsCame = isRunning == ServedMachine.IsLive(process.Kept?.RunState);
        process.Migrate(options, isAsCame ? null : (isRunning ? RunState.Running : RunState.Paused).ToQmp());
    }

    public void Receive(IncomingOptions options) => process.Listen(options);

    public void Drop() => process.Drop();
}
