using System.Diagnostics.Metrics;

namespace RdmaMigration.Engine.Tests;

public sealed class BigLockTests
{
    [Fact]
    public void ChannelIoUnderTheLockIsADefectThatShows()
    {
        BigLock bigLock = new();
        bigLock.AssertNotHeld();
        bigLock.Acquire("monitor");
        InvalidOperationException defect = Assert.Throws<InvalidOperationException>(() => bigLock.AssertNotHeld("channel IO"));
        Assert.Contains("channel IO", defect.Message, StringComparison.Ordinal);
        Assert.Contains("monitor", defect.Message, StringComparison.Ordinal);
        bigLock.Release();
    }

    [Fact]
    public void WhoDoesNotHoldItCanNeitherReleaseItNorPassForItsHolder()
    {
        BigLock bigLock = new();
        Assert.Throws<InvalidOperationException>(bigLock.Release);
        Assert.Throws<InvalidOperationException>(() => bigLock.AssertHeld());
    }

    [Fact]
    public void ItIsNotRecursive()
    {
        BigLock bigLock = new();
        bigLock.Acquire();
        Assert.Throws<InvalidOperationException>(() => bigLock.Acquire());
        bigLock.Release();
    }

    [Fact]
    public void HoldTimesAreMeasuredByTheirPlace()
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
