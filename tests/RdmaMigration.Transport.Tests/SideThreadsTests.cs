namespace RdmaMigration.Transport.Tests;

/// <summary>What becomes of work when this process can start no thread.</summary>
public sealed class SideThreadsTests
{
    private bool _canStart = true;

    [Fact]
    public void Work_that_no_thread_can_run_fails_with_the_reason_and_is_not_waited_for()
    {
        SideThreads threads = Threads();
        _canStart = false;
        ConnectFailedException failed = Assert.Throws<ConnectFailedException>(() => threads.Run(() => { }));
        Assert.Contains("cannot start a thread", failed.Message, StringComparison.Ordinal);
        threads.Wait();
    }

    [Fact]
    public void Work_that_must_run_runs_at_the_next_attempt()
    {
        SideThreads threads = Threads();
        int runs = 0;
        _canStart = false;
        threads.RunEventually(() => Interlocked.Increment(ref runs));
        Assert.NotEqual(long.MaxValue, threads.RetryAt);
        threads.Retry();
        Assert.NotEqual(long.MaxValue, threads.RetryAt);
        _canStart = true;
        threads.Retry();
        threads.Wait();
        Assert.Equal((1, long.MaxValue), (runs, threads.RetryAt));
    }

    [Fact]
    public void Work_that_is_still_postponed_runs_where_its_end_is_awaited()
    {
        SideThreads threads = Threads();
        _canStart = false;
        Thread? ranOn = null;
        threads.RunEventually(() => ranOn = Thread.CurrentThread);
        threads.Wait();
        Assert.Same(Thread.CurrentThread, ranOn);
    }

    private SideThreads Threads() => new("test", thread =>
    {
        if (!_canStart)
        {
            throw new InsufficientMemoryException("no thread");
        }

        thread.Start();
    });
}
