using System.IO.Pipes;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

public sealed class CompletionWaiterTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(10);

    private readonly CompletionWaiter _waiter = new();

    public void Dispose() => _waiter.Dispose();

    [Fact]
    public void A_readable_descriptor_is_reported_on_the_thread_rdma_wait()
    {
        using PipeSource source = new();
        _waiter.Add(source);
        source.MakeReadable();
        Assert.True(source.Ready.Wait(s_soon));
        Assert.Equal("rdma/wait", source.ThreadName);
        _waiter.Remove(source);
    }

    [Fact]
    public void After_remove_returns_the_source_is_never_called_again()
    {
        for (int i = 0; i < 200; i++)
        {
            using PipeSource source = new();
            _waiter.Add(source);
            source.MakeReadable();
            _waiter.Remove(source);
            int calls = source.Calls;

            // Another source's round is a round in which the removed one would have been called.
            using PipeSource other = new();
            _waiter.Add(other);
            other.MakeReadable();
            Assert.True(other.Ready.Wait(s_soon));
            _waiter.Remove(other);
            Assert.Equal(calls, source.Calls);
        }
    }

    [Fact]
    public void A_source_may_remove_itself_from_its_own_callback()
    {
        using PipeSource source = new();
        source.OnReadyDo = () => _waiter.Remove(source);
        _waiter.Add(source);
        source.MakeReadable();
        Assert.True(source.Ready.Wait(s_soon));
        using PipeSource other = new();
        _waiter.Add(other);
        other.MakeReadable();
        Assert.True(other.Ready.Wait(s_soon));
        Assert.Equal(1, source.Calls);
        _waiter.Remove(other);
    }

    [Fact]
    public void A_defect_in_one_source_is_told_to_it_and_does_not_end_the_waiter()
    {
        using PipeSource bad = new() { OnReadyDo = () => throw new InvalidOperationException("broken") };
        using PipeSource good = new();
        _waiter.Add(bad);
        _waiter.Add(good);
        bad.MakeReadable();
        Assert.True(bad.Faulted.Wait(s_soon));
        _waiter.Remove(bad);
        good.MakeReadable();
        Assert.True(good.Ready.Wait(s_soon));
        _waiter.Remove(good);
    }

    [Fact]
    public void A_deadline_is_reported_once_it_has_passed_and_not_before()
    {
        using PipeSource source = new() { DeadlineAt = Deadline.After(TimeSpan.FromMilliseconds(50)) };
        _waiter.Add(source);
        Assert.True(source.DeadlinePassed.Wait(s_soon));
        Assert.True(source.DeadlineSet.HasPassedAt(source.DeadlineSeenAt));
        _waiter.Remove(source);
    }

    [Fact]
    public void A_source_that_blocks_the_waiter_is_a_defect_and_told_so()
    {
        using PipeSource source = new() { OnReadyDo = BlockingCalls.AssertAllowed };
        _waiter.Add(source);
        source.MakeReadable();
        Assert.True(source.Faulted.Wait(s_soon));
        _waiter.Remove(source);
    }

    [Fact]
    public void A_disposed_waiter_takes_no_source()
    {
        CompletionWaiter waiter = new();
        waiter.Dispose();
        using PipeSource source = new();
        Assert.Throws<ObjectDisposedException>(() => waiter.Add(source));
    }

    [Fact]
    public void A_source_that_is_still_watched_learns_that_the_waiter_ends()
    {
        CompletionWaiter waiter = new();
        using PipeSource removed = new();
        using PipeSource watched = new();
        waiter.Add(removed);
        waiter.Add(watched);
        waiter.Remove(removed);
        waiter.Dispose();
        waiter.Dispose();
        Assert.Equal((0, 1), (removed.Stops, watched.Stops));
    }

    /// <summary>A completion channel of a device that was removed reports an error for ever.</summary>
    [Fact]
    public void A_descriptor_that_the_kernel_closed_is_reported_once_and_polled_no_more()
    {
        using ClosedSource closed = new();
        _waiter.Add(closed);
        Assert.True(closed.Closed.Wait(s_soon));

        // The second one makes the waiter collect all descriptors again.
        for (int i = 0; i < 2; i++)
        {
            using PipeSource other = new();
            _waiter.Add(other);
            other.MakeReadable();
            Assert.True(other.Ready.Wait(s_soon));
            _waiter.Remove(other);
        }

        Assert.Equal(1, closed.Calls);
        _waiter.Remove(closed);
    }

    /// <summary>The write end of a pipe that nobody reads: POLLERR, and never readable.</summary>
    private sealed class ClosedSource : IWaitSource, IDisposable
    {
        private readonly AnonymousPipeServerStream _write = new(PipeDirection.Out);
        private readonly int[] _descriptors;
        private int _calls;

        public ClosedSource()
        {
            _write.DisposeLocalCopyOfClientHandle();
            _descriptors = [(int)_write.SafePipeHandle.DangerousGetHandle()];
        }

        public ManualResetEventSlim Closed { get; } = new();

        public int Calls => Volatile.Read(ref _calls);

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public Deadline Deadline => Deadline.Never;

        public void OnReady(int index) => throw new InvalidOperationException("not readable");

        public void OnClosed(int index)
        {
            _descriptors[index] = -1;
            Interlocked.Increment(ref _calls);
            Closed.Set();
        }

        public void OnDeadline(long now)
        {
        }

        public void OnFault(Exception fault) => Interlocked.Increment(ref _calls);

        public void Dispose()
        {
            _write.Dispose();
            Closed.Dispose();
        }
    }

    private sealed class PipeSource : IWaitSource, IDisposable
    {
        private readonly AnonymousPipeServerStream _write = new(PipeDirection.Out);
        private readonly AnonymousPipeClientStream _read;
        private readonly int[] _descriptors;
        private int _calls;

        public PipeSource()
        {
            _read = new AnonymousPipeClientStream(PipeDirection.In, _write.ClientSafePipeHandle);
            _descriptors = [(int)_read.SafePipeHandle.DangerousGetHandle()];
        }

        public ManualResetEventSlim Ready { get; } = new();

        public ManualResetEventSlim Faulted { get; } = new();

        public ManualResetEventSlim DeadlinePassed { get; } = new();

        public int Stops { get; private set; }

        public Action? OnReadyDo { get; set; }

        public string? ThreadName { get; private set; }

        public int Calls => Volatile.Read(ref _calls);

        public Deadline DeadlineAt { private get; init; }

        public Deadline DeadlineSet => DeadlineAt;

        public long DeadlineSeenAt { get; private set; }

        public ReadOnlySpan<int> Descriptors => _descriptors;

        public Deadline Deadline => DeadlinePassed.IsSet ? Deadline.Never : DeadlineAt;

        public void MakeReadable() => _write.WriteByte(1);

        public void OnReady(int index)
        {
            _read.ReadByte();
            Interlocked.Increment(ref _calls);
            ThreadName = Thread.CurrentThread.Name;
            Ready.Set();
            OnReadyDo?.Invoke();
        }

        public void OnDeadline(long now)
        {
            DeadlineSeenAt = now;
            DeadlinePassed.Set();
        }

        public void OnFault(Exception fault) => Faulted.Set();

        public void OnStopped() => Stops++;

        public void Dispose()
        {
            _read.Dispose();
            _write.Dispose();
            Ready.Dispose();
            Faulted.Dispose();
            DeadlinePassed.Dispose();
        }
    }
}
