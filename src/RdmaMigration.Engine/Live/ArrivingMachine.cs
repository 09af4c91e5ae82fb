using RdmaMigration.Linux;
using RdmaMigration.Memory;
using RdmaMigration.Streams;
using RdmaMigration.VmState;

namespace RdmaMigration.Engine;

/// <summary>
/// A machine of this process that a source's machine becomes: what the source announces is checked against what the machine has, and RAM goes straight into its
/// blocks. Its RAM may hold anything before. It owns nothing.
/// </summary>
internal sealed class ArrivingMachine(ILiveMachine machine) : IMachine
{
    private RamBlockList? _ram;

    public StreamConfiguration? Configuration { get; private set; }

    public RamBlockList? Ram => Volatile.Read(ref _ram);

    public CapturedStream? Content => null;

    public DeviceList Devices => machine.Devices;

    public bool IsRamFresh => false;

    public void Configure(StreamConfiguration configuration)
    {
        if (configuration.MachineType != machine.Type)
        {
            throw new MachineMismatchException(
                $"the source's machine has type '{configuration.MachineType}', the one here '{machine.Type}': start the same program on both sides");
        }

        if (configuration.Capabilities.Count > 0)
        {
            throw new MachineMismatchException(
                $"the source has capability {configuration.Capabilities[0]} on, which a machine of type '{machine.Type}' cannot take; turn it off there");
        }

        Configuration = configuration;
    }

    /// <summary>The machine's own blocks, in the source's order, which control messages refer to.</summary>
    /// <exception cref="MachineMismatchException">The source has other blocks.</exception>
    public RamBlockList AllocateRam(IReadOnlyList<RamBlockDescription> blocks)
    {
        RamBlock[] own = [.. blocks.Select(Find)];
        if (machine.Ram.FirstOrDefault(block => !own.Contains(block)) is { } missing)
        {
            throw new MachineMismatchException($"the machine here has RAM block '{missing.Name}' of {missing.Length} bytes, which the source does not have");
        }

        RamBlockList ram = RamBlockList.Of(own);
        Volatile.Write(ref _ram, ram);
        return ram;
    }

    /// <summary>What has arrived for the devices, in the order in which it is applied; empty before all of it is there.</summary>
    public IReadOnlyList<StagedDevice> Staged { get; private set; } = [];

    public CapturedStream? Load(IncomingStream stream, BigLockState state)
    {
        Staged = stream.LoadDevices(state);
        return null;
    }

    public void Dispose()
    {
    }

    private RamBlock Find(RamBlockDescription block)
    {
        if (!machine.Ram.TryGetIndex(block.Name, out int index))
        {
            throw new MachineMismatchException($"the source has RAM block '{block.Name}' of {block.Length} bytes, which the machine here does not have");
        }

        RamBlock own = machine.Ram[index];
        return own.Length == block.Length
            ? own
            : throw new MachineMismatchException($"RAM block '{block.Name}' has {block.Length} bytes at the source and {own.Length} bytes here");
    }
}

/// <summary>The source's machine is another than the one here.</summary>
internal sealed class MachineMismatchException(string message) : MigrationException(FailureReason.Stream, message);
