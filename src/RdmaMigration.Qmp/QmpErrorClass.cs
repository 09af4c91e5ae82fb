namespace RdmaMigration.Qmp;

/// <summary>QMP's error classes, by the names that they have on the wire (QEMU's <c>QapiErrorClass</c>).</summary>
internal enum QmpErrorClass
{
    /// <summary>Every error that no other class describes. People read the description.</summary>
    GenericError,

    /// <summary>There is no such command, or it is not allowed before or after negotiation.</summary>
    CommandNotFound,

    /// <summary>The device is not active.</summary>
    DeviceNotActive,

    /// <summary>The device, or the instance, does not exist.</summary>
    DeviceNotFound,

    /// <summary>The host's KVM lacks a capability.</summary>
    KVMMissingCap,
}
