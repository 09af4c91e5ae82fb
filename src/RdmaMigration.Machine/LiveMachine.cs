using Microsoft.Extensions.Logging;
using RdmaMigration.Engine;
using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.VmState;

namespace RdmaMigration.Machines;

/// <summary>
/// The machine as the engine moves it: blocks, devices, and the program that runs. RAM and devices are added until it is used for the first time.
/// Its state changes on the main thread with the big lock held, and may be read from any thread.
/// </summary>
internal sealed class LiveMachine(string type, DirtyTracking? tracking, ILogger log) : ILiveMachine, IDisposable
{
    private readonly PageMarks _marks = new();
    private readonly List<RamBlock> _blocks = [];
    private RamBlockList? _ram;
    private volatile IMachineProgram? _program;
    private volatile MachineState _state;

    public string Type => type;

    public RamBlockList Ram => _ram ??= RamBlockList.Of(_blocks);

    public DeviceList Devices { get; } = new();

    public bool IsRunning => _state is MachineState.Running;

    /// <summary>Where the machine runs.</summary>
    public MachineState State => _state;

    /// <summary>What runs in the machine; null before it is known.</summary>
    public IMachineProgram? Program
    {
        get => _program;
        set => _program = value;
    }

    /// <summary>Adds a block. Before the first use.</summary>
    public MachineRam AddRam(string name, ulong length, bool hugePages)
    {
        bool isName = name is { Length: > 0 and <= byte.MaxValue } && name.All(character => character is > ' ' and <= '~');
        if (!isName || _blocks.Exists(block => block.Name == name))
        {
            throw new ArgumentException($"'{name}' is used already, or is not a name of 1 to 255 printable ASCII characters", nameof(name));
        }

        RamBlock block = RamBlock.Allocate(name, length, hugePages);
        _blocks.Add(block);
        return new MachineRam(block, _marks, _blocks.Count - 1);
    }

    public void Start()
    {
        _program!.Start();
        _state = MachineState.Running;
    }

    public void Stop()
    {
        _program!.Stop();
        _state = MachineState.Stopped;
    }

    public void Throttle(int percent) => _program!.Throttle(percent);

    public IDirtyTracker CreateTracker()
    {
        IDirtyTracker tracker = DirtyTrackers.Create(Ram, tracking, line => MachineLog.Tracking(log, line));
        _marks.Use(tracker);
        return tracker;
    }

    /// <summary>The machine runs at its destination.</summary>
    public void OnMoved() => _state = MachineState.Moved;

    public void Clear()
    {
        BlockingCalls.AssertAllowed();
        foreach (RamBlock block in _blocks)
        {
            if (!block.TryDiscard(0, block.Length))
            {
                block.Zero(0, block.Length);
            }
        }
    }

    public void Dispose() => _blocks.ForEach(block => block.Dispose());
}
