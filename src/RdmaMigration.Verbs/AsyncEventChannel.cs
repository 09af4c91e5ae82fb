using System.Runtime.InteropServices;

using RdmaMigration.Linux;
using RdmaMigration.Verbs.Handles;
using RdmaMigration.Verbs.Interop;

namespace RdmaMigration.Verbs;

/// <summary>
/// Where a device reports what no completion and no connection manager event says: a link that goes down, the device's failure, a queue pair's. Facts: the
/// manual page ibv_get_async_event(3) of rdma-core.
/// </summary>
/// <remarks>
/// Thread-safe. It belongs to the open device, and is not disposed. Each event is given once, to one reader. librdmacm opens a device once for all ids of this
/// process, so <see cref="DeviceContext.AsyncEvents"/> of all these ids are the same channel, and one reader has to report an event to all of them. An event
/// is acknowledged when it is read: the destruction of a queue waits for that.
/// </remarks>
public sealed unsafe class AsyncEventChannel
{
    private readonly DeviceContext _device;

    internal AsyncEventChannel(DeviceContext device)
    {
        _device = device;
        using VerbsHandle.Scope scope = device.Handle.Use();
        FileDescriptor = ((ibv_context*)device.Context)->async_fd;
    }

    /// <summary>Readable when an event is there. Belongs to the device; two contexts with the same descriptor have the same events.</summary>
    public int FileDescriptor { get; }

    /// <summary>From now on <see cref="TryGetEvent"/> returns at once when there is no event, for every reader.</summary>
    /// <exception cref="VerbsException">The descriptor is not valid.</exception>
    public void SetNonBlocking()
    {
        using VerbsHandle.Scope scope = _device.Handle.Use();
        PollableDescriptor.SetNonBlocking(FileDescriptor);
    }

    /// <summary>Reads an event. Blocks until there is one, unless <see cref="SetNonBlocking"/> was called.</summary>
    /// <returns>False when there is none.</returns>
    /// <exception cref="VerbsException">The kernel closed the device.</exception>
    public bool TryGetEvent(out AsyncEvent asyncEvent)
    {
        using VerbsHandle.Scope scope = _device.Handle.Use();
        ibv_async_event native;
        while (LibIbVerbs.ibv_get_async_event(_device.Context, &native) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno == (int)Errno.EAGAIN)
            {
                asyncEvent = default;
                return false;
            }

            if (errno != (int)Errno.EINTR)
            {
                throw new VerbsException("ibv_get_async_event", errno, _device.DeviceName);
            }
        }

        asyncEvent = new AsyncEvent(native);
        LibIbVerbs.ibv_ack_async_event(&native);
        if (asyncEvent.Type is AsyncEventType.DeviceFatal)
        {
            RemovedDevices.Mark(_device.Context);
        }

        return true;
    }

    /// <summary>Waits until an event can be read.</summary>
    /// <param name="timeout">Rounded up to milliseconds; negative waits for ever.</param>
    /// <returns>False when the time is up.</returns>
    public bool Wait(TimeSpan timeout)
    {
        using VerbsHandle.Scope scope = _device.Handle.Use();
        return PollableDescriptor.Wait(FileDescriptor, timeout);
    }
}
