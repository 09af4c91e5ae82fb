using RdmaMigration.Engine;
using RdmaMigration.Machines;
using RdmaMigration.Qmp;

namespace RdmaMigration.Service;

/// <summary>A machine whose program runs in this process.</summary>
/// <param name="machine">The machine.</param>
internal sealed class MonitoredLiveMachine(Machine machine) : IMonitoredMachine
{
    public bool CanStart => true;

    public string? StateAtSource => null;

    public MachineTarget Target { get; } = new LiveTarget(machine.Live);

    public bool? IsRunning => machine.Live.IsRunning;

    public void Start() => Try(machine.Moves.Start);

    public void Stop() => Try(machine.Moves.Stop);

    public void Send(OutgoingOptions options, bool isRunning) => Try(() => machine.Moves.Send(options));

    public void Receive(IncomingOptions options) => Try(() => machine.Moves.Receive(options));

    public void Drop() => throw new QmpException("the machine belongs to the program that runs it and cannot be dropped; send quit to end the program");

    private static void Try(Action action)
    {
        try
        {
            action();
        }
        catch (InvalidOperationException refused)
        {
            throw new QmpException(refused.Message);
        }
    }
}
