using System.Collections;

namespace RdmaMigration.VmState;

/// <summary>
/// A machine's devices, in the order in which they are saved: by priority, then as they were added. Filled before the first migration; then only read, by any
/// thread.
/// </summary>
internal sealed class DeviceList : IReadOnlyList<Device>
{
    private readonly List<Device> _devices = [];

    /// <inheritdoc/>
    public int Count => _devices.Count;

    /// <inheritdoc/>
    public Device this[int index] => _devices[index];

    /// <summary>Adds a device.</summary>
    /// <exception cref="ArgumentException">There is one of that name and instance id.</exception>
    public void Add(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (Find(device.Name, device.InstanceId) is not null || (device.AliasId is { } alias && Find(device.Name, alias) is not null))
        {
            throw new ArgumentException($"there is a device '{device.Name}' of this instance id or alias already", nameof(device));
        }

        int at = _devices.FindIndex(other => other.Priority < device.Priority);
        _devices.Insert(at < 0 ? _devices.Count : at, device);
    }

    /// <summary>The device of that name whose instance id, or alias, it is.</summary>
    public Device? Find(string name, uint instanceId) => _devices.Find(d => d.Name == name && (d.InstanceId == instanceId || d.AliasId == instanceId));

    /// <inheritdoc/>
    public IEnumerator<Device> GetEnumerator() => _devices.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
