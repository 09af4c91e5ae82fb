using System.Diagnostics;

namespace RdmaMigration.Transport.Tests;

/// <summary>A call on a thread of its own that is expected to end with an exception.</summary>
internal sealed class FailingCall
{
    private readonly Thread _thread;
    private Exception? _failure;
    private long _returnedAt;

    public FailingCall(Action call)
    {
        _thread = new Thread(() =>
        {
            _failure = Record.Exception(call);
            _returnedAt = Stopwatch.GetTimestamp();
        })
        { IsBackground = true };
        _thread.Start();
    }

    /// <summary>Waits for its end; how long after <paramref name="since"/> it came.</summary>
    public (Exception? Failure, TimeSpan After) Ended(long since)
    {
        Assert.True(_thread.Join(TimeSpan.FromSeconds(20)), "the call has not returned");
        return (_failure, Stopwatch.GetElapsedTime(since, _returnedAt));
    }
}

/// <summary>What is promised within 100 ms.</summary>
internal static class Soon
{
    /// <summary>Measures five times and takes the median, so that one late wake-up of a busy machine decides nothing.</summary>
    public static void Assert(Func<TimeSpan> measure)
    {
        TimeSpan[] times = [.. Enumerable.Range(0, 5).Select(_ => measure()).Order()];
        Xunit.Assert.True(times[2] < TimeSpan.FromMilliseconds(100), $"took {times[2].TotalMilliseconds:0.#} ms");
    }

    /// <summary>Has a reader take what is there already and then block, and shuts the channel down.</summary>
    /// <returns>How long after the shutdown the reader returned, which it must with that reason.</returns>
    public static TimeSpan ShutDownReader(Func<int> read, Action<string> shutdown)
    {
        using ManualResetEventSlim first = new();
        FailingCall reader = new(() =>
        {
            while (read() > 0)
            {
                first.Set();
            }
        });
        first.Wait(TestContext.Current.CancellationToken);
        return ShutDown(reader, shutdown);
    }

    /// <summary>Shuts the channel down under a blocked call.</summary>
    /// <returns>How long after it the call returned, which it must with that reason.</returns>
    public static TimeSpan ShutDown(FailingCall blocked, Action<string> shutdown)
    {
        long start = Stopwatch.GetTimestamp();
        shutdown("enough");
        return AssertLost(blocked.Ended(start), ConnectionLoss.Shutdown, "enough");
    }

    public static TimeSpan AssertLost((Exception? Failure, TimeSpan After) ended, ConnectionLoss loss, string message)
    {
        ConnectionLostException lost = Xunit.Assert.IsType<ConnectionLostException>(ended.Failure);
        Xunit.Assert.Equal(loss, lost.Loss);
        Xunit.Assert.Contains(message, lost.Message, StringComparison.Ordinal);
        return ended.After;
    }

    /// <summary>Waits until a count of bytes stays as it is: a writer is blocked.</summary>
    public static void AwaitStandstill(Func<long> count)
    {
        long last = -1;
        long since = Stopwatch.GetTimestamp();
        Xunit.Assert.True(SpinWait.SpinUntil(() =>
        {
            long now = count();
            if (now != last)
            {
                (last, since) = (now, Stopwatch.GetTimestamp());
            }

            return last > 0 && Stopwatch.GetElapsedTime(since).TotalMilliseconds > 30;
        }, TimeSpan.FromSeconds(20)));
    }
}
