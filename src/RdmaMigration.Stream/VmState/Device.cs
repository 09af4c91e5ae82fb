using System.Text;
using RdmaMigration.Streams;

namespace RdmaMigration.VmState;

/// <summary>A device of a machine: a description, the program's object that has the state, and the name by which streams know it.</summary>
internal abstract class Device
{
    private protected Device(string name, uint instanceId, uint? aliasId)
    {
        if (name.Length is 0 or > byte.MaxValue || !Ascii.IsValid(name) || name.Any(char.IsControl))
        {
            throw new ArgumentException($"'{name}': a device's name has 1 to {byte.MaxValue} printable ASCII characters", nameof(name));
        }

        Name = name;
        InstanceId = instanceId;
        AliasId = aliasId;
    }

    /// <summary>The section's name: QEMU's idstr.</summary>
    public string Name { get; }

    /// <summary>Tells devices of the same name apart.</summary>
    public uint InstanceId { get; }

    /// <summary>Another instance id that an older source may use for this device; null if there is none.</summary>
    public uint? AliasId { get; }

    /// <summary>The version that is written, and the newest that is read.</summary>
    public abstract uint Version { get; }

    /// <summary>Devices of a higher priority are saved, and so loaded, first.</summary>
    public abstract int Priority { get; }

    /// <summary>Every stream has the device: its description has no predicate.</summary>
    public abstract bool IsAlwaysSaved { get; }

    /// <summary>Binds a description to an object.</summary>
    /// <param name="description">The description; it must be complete.</param>
    /// <param name="state">The program's object.</param>
    /// <param name="instanceId">Tells devices of the same name apart.</param>
    /// <param name="name">The section's name; null for the description's.</param>
    /// <param name="aliasId">Another instance id that an older source may use; null if there is none.</param>
    public static Device Create<T>(VmStateDescription<T> description, T state, uint instanceId = 0, string? name = null, uint? aliasId = null)
        where T : class => new Device<T>(description, state, instanceId, name ?? description.Name, aliasId);

    /// <summary>The decode needs the big lock, so the device is sent in a package.</summary>
    public abstract bool NeedsLockToDecode { get; }

    /// <summary>The device has to be in a stream now. With the big lock held.</summary>
    public abstract bool IsNeeded();

    /// <summary>
    /// Calls pre_load if it does without the big lock; decodes the state without a change of the device. With the lock held if <see cref="NeedsLockToDecode"/>.
    /// </summary>
    /// <param name="reader">At the first byte of the section's data.</param>
    /// <param name="version">The version that the section's header gives.</param>
    public abstract StagedDevice Decode(StateReader reader, uint version);

    /// <summary>Calls pre_save and writes the state. With the big lock held.</summary>
    public abstract void Encode(StateWriter writer);
}

/// <summary>A device whose state <typeparamref name="T"/> has.</summary>
internal sealed class Device<T>(VmStateDescription<T> description, T state, uint instanceId, string name, uint? aliasId) : Device(name, instanceId, aliasId)
    where T : class
{
    public override uint Version => description.Version;

    public override int Priority => description.Priority;

    public override bool IsAlwaysSaved => description.Needed is null;

    public override bool NeedsLockToDecode => description.NeedsLockToDecode;

    public override bool IsNeeded() => description.Needed is null || description.Needed(state);

    public override StagedDevice Decode(StateReader reader, uint version)
    {
        reader.Begin(this);
        description.Layout.CheckVersion(reader, description, version);
        ulong at = reader.Position;
        bool isPreLoaded = !description.PreLoadNeedsLock;
        if (isPreLoaded && description.PreLoad is not null)
        {
            PreLoad(reader, at);
        }

        StagedState<T> staged = description.Layout.Decode(reader, description, version, state);
        return reader.PeekSubsection("") is { } unknown
            ? throw reader.Refused(reader.Position, $"the device has no subsection '{Printable.Of(unknown)}'")
            : new StagedDevice(this, context => staged.Commit(state, context, isPreLoaded));
    }

    public override void Encode(StateWriter writer)
    {
        writer.Path.Begin(this);
        description.Layout.Encode(writer, description, state);
    }

    private void PreLoad(StateReader reader, ulong at)
    {
        reader.Path.Hook = "pre_load";
        try
        {
            description.PreLoad!(state);
        }
        catch (Exception e)
        {
            throw new StreamFormatException(StreamFault.Refused, reader.Path.ToString(), at, e.Message, e);
        }

        reader.Path.Hook = null;
    }
}
