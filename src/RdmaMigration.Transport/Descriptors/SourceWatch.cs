using RdmaMigration.Linux;

namespace RdmaMigration.Transport;

/// <summary>
/// Looks every so often whether a source on a socket is still there, on the completion waiter's thread. While this is not disposed nobody else may write to
/// the source.
/// </summary>
internal sealed class SourceWatch : IWaitSource, IDisposable
{
    /// <summary>Looking costs a system call, and the answer to a probe shows at the look after it.</summary>
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(250);

    private readonly CompletionWaiter _waiter;
    private readonly PolledDescriptor _source;
    private readonly Func<Errno> _probe;

    private SourceWatch(CompletionWaiter waiter, PolledDescriptor source, Func<Errno> probe)
    {
        _waiter = waiter;
        _source = source;
        _probe = probe;
    }

    /// <summary>None: one that has closed its direction would be ready all the time.</summary>
    public ReadOnlySpan<int> Descriptors => [];

    /// <summary>The first look is at once.</summary>
    public Deadline Deadline { get; private set; } = Deadline.Passed;

    /// <summary>Begins to look.</summary>
    /// <param name="waiter">Looks.</param>
    /// <param name="source">A socket; not owned.</param>
    /// <param name="probe">Sends what the source ignores, or nothing.</param>
    public static SourceWatch Start(CompletionWaiter waiter, PolledDescriptor source, Func<Errno> probe)
    {
        SourceWatch watch = new(waiter, source, probe);
        waiter.Add(watch);
        return watch;
    }

    public void OnReady(int index)
    {
    }

    public void OnDeadline(long now)
    {
        _source.CheckPeer(_probe);
        Deadline = _source.Lost is null ? Deadline.After(s_interval, now) : Deadline.Never;
    }

    public void OnFault(Exception fault)
    {
        Deadline = Deadline.Never;
        _source.Fail(ConnectionLoss.TransportError, $"{_source.Peer}: {fault.Message}");
    }

    /// <summary>When it returns, nothing is sent to the source from here any more.</summary>
    public void Dispose() => _waiter.Remove(this);
}
