using System.Diagnostics.Metrics;

namespace RdmaMigration.Engine.Tests;

public sealed class BigLockTests
{
    [Fact]
    public void Channel_io_throws_while_the_thread_holds_the_lock()
    {
        BigLock bigLock = new();
        using ScriptedDestination channel = new(returnPath: true);
        bigLock.AssertNotHeld();
        bigLock.Acquire("monitor");
        Assert.Throws<InvalidOperationException>(() => bigLock.AssertNotHeld());
        Assert.Throws<InvalidOperationException>(() => channel.Output.Write([1]));
        Assert.Throws<InvalidOperationException>(() => channel.Input!.Read(new byte[1], TimeSpan.Zero));
        bigLock.Release();
        channel.Output.Write([1]);
        Assert.Equal(1, channel.SentBytes);
    }

    [Fact]
    public void Only_the_holder_can_release_the_lock()
    {
        BigLock bigLock = new();
        Assert.Throws<InvalidOperationException>(bigLock.Release);
        Assert.Throws<InvalidOperationException>(() => bigLock.AssertHeld());
    }

    [Fact]
    public void Lock_is_not_recursive()
    {
        BigLock bigLock = new();
        bigLock.Acquire();
        Assert.Throws<InvalidOperationException>(() => bigLock.Acquire());
        bigLock.Release();
    }

    [Fact]
    public void Hold_times_are_measured_for_each_place()
    {
        List<(double Seconds, object? Site)> seen = [];
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name == "rdmamig_biglock_hold_seconds")
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<double>((_, seconds, tags, _) =>
        {
            lock (seen)
            {
                seen.Add((seconds, tags[0].Value));
            }
        });
        listener.Start();
        BigLock bigLock = new();
        bigLock.Acquire("a place");
        bigLock.Release();
        lock (seen)
        {
            Assert.Contains(seen, hold => hold is { Site: "a place", Seconds: >= 0 });
        }
    }
}
