using RdmaMigration.VmState;

namespace RdmaMigration.Engine.Tests;

/// <summary>A device whose decode needs the big lock: a check of its value runs then.</summary>
internal sealed class LockedDevice
{
    public ulong Value { get; set; }

    public byte[] Buffer { get; } = new byte[300];

    /// <summary>Called during a decode; false refuses the value.</summary>
    public Func<bool>? Decoding { get; set; }

    public static VmStateDescription<LockedDevice> Description { get; } = new VmStateDescription<LockedDevice>("locked") { NeedsLockToDecode = true }
        .Integer("value", d => d.Value, (d, v) => d.Value = v, accepts: (d, _) => d.Decoding?.Invoke() ?? true)
        .Buffer("buffer", 300, d => d.Buffer);

    /// <summary>Adds one to a machine that is not in use.</summary>
    public static LockedDevice AddTo(WritingMachine machine)
    {
        LockedDevice device = new();
        machine.Devices.Add(Device.Create(Description, device));
        return device;
    }
}
