using RdmaMigration.Streams;

namespace RdmaMigration.VmState;

/// <summary>A device's state that was decoded without the big lock, to be applied with it.</summary>
internal sealed class StagedDevice
{
    private readonly Device _device;
    private readonly Action<CommitContext> _commit;
    private bool _isCommitted;

    internal StagedDevice(Device device, Action<CommitContext> commit)
    {
        _device = device;
        _commit = commit;
    }

    public string Name => _device.Name;

    public uint InstanceId => _device.InstanceId;

    /// <summary>
    /// Applies the state: pre_load, unless it was called before the decode; fields; subsections; post_load. Call once, with the big lock held. If it throws,
    /// every field has the value again that it had before; what hooks did stays.
    /// </summary>
    /// <param name="state">Whether the caller holds the big lock, as it must.</param>
    /// <exception cref="InvalidOperationException">The lock is not held, or it is not as the caller says, or the device is committed already.</exception>
    /// <exception cref="StreamFormatException">A setter or a hook threw; the message names the device, the field or hook, and the offset.</exception>
    public void Commit(BigLockState state)
    {
        state.Assert();
        if (state is not BigLockState.Held)
        {
            throw new InvalidOperationException($"device '{Name}' instance {InstanceId} is committed without the big lock");
        }

        if (_isCommitted)
        {
            throw new InvalidOperationException($"device '{Name}' instance {InstanceId} is committed already");
        }

        _isCommitted = true;
        CommitContext context = new();
        context.Path.Begin(_device);
        try
        {
            _commit(context);
        }
        catch (Exception e)
        {
            string detail = context.Undo() is { } failure ? $"{e.Message} (and its old value cannot be restored: {failure.Message})" : e.Message;
            throw new StreamFormatException(StreamFault.Refused, context.Path.ToString(), context.Offset, detail, e);
        }
    }
}
