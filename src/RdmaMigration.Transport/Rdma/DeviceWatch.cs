using System.Net;
using Microsoft.Extensions.Logging;
using RdmaMigration.Linux;
using RdmaMigration.Verbs;

namespace RdmaMigration.Transport;

/// <summary>
/// What the completion waiter does for a device, from the first connection on it until the device is removed or the waiter ends: reports its asynchronous
/// events to its connections, and holds an id on it. The id is there for the removal. The kernel reports a removal to ids only, and finishes it only when this
/// process has closed the device, which librdmacm does not do when the last connection ends (PROTOCOL.md, CM events).
/// </summary>
internal sealed class DeviceWatch : IWaitSource
{
    private const int AsyncDescriptor = 0;

    /// <summary>How long after no thread could be started the next attempt is due.</summary>
    private static readonly TimeSpan s_retryInterval = TimeSpan.FromSeconds(1);

    private static readonly object s_gate = new();

    /// <summary>
    /// Of all waiters: librdmacm opens a device once for the whole process, and an event is read once, by the first waiter that looks.
    /// </summary>
    private static readonly List<DeviceWatch> s_watches = [];

    private readonly CompletionWaiter _waiter;
    private readonly CmId _id;
    private readonly EventChannel _cmEvents;
    private readonly AsyncEventChannel _events;
    private readonly string _deviceName;
    private readonly SideThreads _aside = new("rdma/accept");
    private readonly List<ConnectionWatch> _connections = [];
    private readonly int[] _descriptors;
    private long _endAt = long.MaxValue;

    private DeviceWatch(CompletionWaiter waiter, CmId id, EventChannel cmEvents, DeviceContext device)
    {
        _waiter = waiter;
        _id = id;
        _cmEvents = cmEvents;
        _events = device.AsyncEvents;
        _deviceName = device.DeviceName;
        _descriptors = [_events.FileDescriptor, cmEvents.FileDescriptor];
    }

    /// <inheritdoc/>
    public ReadOnlySpan<int> Descriptors => _descriptors;

    /// <inheritdoc/>
    public Deadline Deadline => Deadline.At(Volatile.Read(ref _endAt));

    private bool IsEnding => Volatile.Read(ref _endAt) != long.MaxValue;

    /// <summary>Reports what happens to the device to a connection, until <see cref="Leave"/>. Any thread; may block.</summary>
    /// <returns>Null if the device cannot be watched. The connection works; a failure of the device then shows in its own calls.</returns>
    public static DeviceWatch? Join(CompletionWaiter waiter, CmId id, DeviceContext device, ConnectionWatch connection)
    {
        BlockingCalls.AssertAllowed();
        int descriptor = device.AsyncEvents.FileDescriptor;
        if (TryJoin(waiter, descriptor, connection) is { } found)
        {
            return found;
        }

        if (id.LocalEndPoint?.Address is not { } address || Open(waiter, address, descriptor) is not { } opened)
        {
            return null;
        }

        lock (s_gate)
        {
            s_watches.Add(opened);
        }

        try
        {
            waiter.Add(opened);
        }
        catch
        {
            opened.Release();
            throw;
        }

        return TryJoin(waiter, descriptor, connection);
    }

    /// <summary>When it returns nothing is reported to the connection any more. Any thread.</summary>
    public void Leave(ConnectionWatch connection)
    {
        lock (s_gate)
        {
            _connections.Remove(connection);
        }
    }

    /// <inheritdoc/>
    public void OnReady(int index)
    {
        if (IsEnding)
        {
            return;
        }

        if (index == AsyncDescriptor)
        {
            lock (s_gate)
            {
                TakeEvents();
            }

            return;
        }

        while (_cmEvents.TryGetEvent(out CmEvent? happened))
        {
            using (happened)
            {
                if (happened.Type is CmEventType.DeviceRemoval)
                {
                    // Each connection has an id of its own, which reports it too.
                    EndAt(Deadline.Passed);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void OnClosed(int index)
    {
        _descriptors[index] = -1;
        lock (s_gate)
        {
            FailAll("the kernel closed it");
        }
    }

    /// <inheritdoc/>
    public void OnDeadline(long now)
    {
        try
        {
            _aside.Run(Release);
        }
        catch (ConnectFailedException)
        {
            EndAt(Deadline.After(s_retryInterval, now));
            return;
        }

        // This round is the last that may touch the descriptors, and it is over with this call.
        _waiter.Remove(this);
    }

    /// <inheritdoc/>
    public void OnFault(Exception fault)
    {
        lock (s_gate)
        {
            FailAll(fault.Message);
        }
    }

    /// <inheritdoc/>
    public void OnStopped() => Release();

    private static DeviceWatch? TryJoin(CompletionWaiter waiter, int descriptor, ConnectionWatch connection)
    {
        lock (s_gate)
        {
            DeviceWatch? found = s_watches.Find(watch => watch._waiter == waiter && watch._events.FileDescriptor == descriptor && !watch.IsEnding);

            // What was reported before the connection began is no reason to end it.
            found?.TakeEvents();
            found?._connections.Add(connection);
            return found;
        }
    }

    /// <summary>Binds an id to the address of a connection. Null if that leads to another device, or to none: the device is being removed.</summary>
    private static DeviceWatch? Open(CompletionWaiter waiter, IPAddress address, int descriptor)
    {
        EventChannel? events = null;
        CmId? id = null;
        try
        {
            events = EventChannel.Create();
            events.SetNonBlocking();
            id = CmId.Create(events);

            // Its port is no obstacle to a listener.
            id.SetReuseAddress(true);
            id.Bind(new IPEndPoint(address, 0));
            if (id.Device is { } device && device.AsyncEvents.FileDescriptor == descriptor)
            {
                device.AsyncEvents.SetNonBlocking();
                return new DeviceWatch(waiter, id, events, device);
            }
        }
        catch (VerbsException failed)
        {
            WatchLog.NotWatched(waiter.Log, address.ToString(), failed.Message);
        }

        id?.Dispose();
        events?.Dispose();
        return null;
    }

    /// <summary>Reads what there is, and reports it to the connections of all waiters. With the gate held.</summary>
    private void TakeEvents()
    {
        try
        {
            while (_events.TryGetEvent(out AsyncEvent happened))
            {
                bool isFailure = false;
                foreach (DeviceWatch watch in s_watches)
                {
                    isFailure |= watch._events.FileDescriptor == _events.FileDescriptor && watch.Report(happened);
                }

                WatchLog.Event(_waiter.Log, _deviceName, happened.ToString(), isFailure ? "failed connections" : "ignored");
            }
        }
        catch (VerbsException gone)
        {
            FailAll(gone.Message);
        }
    }

    /// <summary>True if it ended a connection, or all of them.</summary>
    private bool Report(in AsyncEvent happened)
    {
        bool isFailure = false;
        foreach (ConnectionWatch connection in _connections)
        {
            isFailure |= connection.OnDeviceEvent(happened);
        }

        if (happened.Type is AsyncEventType.DeviceFatal)
        {
            EndAt(Deadline.Passed);
            return true;
        }

        if (isFailure)
        {
            _waiter.Wake();
        }

        return isFailure;
    }

    private void FailAll(string reason)
    {
        foreach (ConnectionWatch connection in _connections)
        {
            connection.OnDeviceLost(reason);
        }

        EndAt(Deadline.Passed);
    }

    /// <summary>The waiter's thread ends the watch then.</summary>
    private void EndAt(Deadline time)
    {
        Volatile.Write(ref _endAt, time.Timestamp);
        _waiter.Wake();
    }

    /// <summary>Frees the id, so that the kernel can finish removing the device. May block.</summary>
    private void Release()
    {
        lock (s_gate)
        {
            s_watches.Remove(this);
        }

        _id.Dispose();
        _cmEvents.Dispose();
    }
}

/// <summary>What is logged of devices.</summary>
internal static partial class WatchLog
{
    [LoggerMessage(20, LogLevel.Debug, "the device {Device} reported {Event}: {Effect}")]
    public static partial void Event(ILogger log, string device, string @event, string effect);

    [LoggerMessage(21, LogLevel.Debug, "the device with the address {Address} is not watched: {Reason}")]
    public static partial void NotWatched(ILogger log, string address, string reason);
}
