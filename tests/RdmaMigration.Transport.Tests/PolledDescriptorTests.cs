using Microsoft.Win32.SafeHandles;
using RdmaMigration.Linux;

namespace RdmaMigration.Transport.Tests;

/// <summary>A descriptor that is lost while somebody reads it.</summary>
public sealed class PolledDescriptorTests
{
    // The reader wakes up or falls asleep meanwhile, now here and now there: one round decides nothing.
    [Fact]
    public void Bytes_that_arrived_before_the_loss_are_read_first() => Assert.All(Enumerable.Range(0, 200), round =>
    {
        using SemaphoreSlim taken = new(0);
        (PolledDescriptor descriptor, FileStream peer) = NewPair();
        using (descriptor)
        using (peer)
        {
            FailingCall reader = new(() =>
            {
                while (descriptor.Read(new byte[1], Timeout.InfiniteTimeSpan) == 1)
                {
                    taken.Release();
                }
            });
            peer.WriteByte(1);
            taken.Wait(TestContext.Current.CancellationToken);
            Thread.SpinWait(100 * round);

            peer.WriteByte(2);
            descriptor.Fail(ConnectionLoss.Disconnected, "gone");

            Soon.AssertLost(reader.Ended(0), ConnectionLoss.Disconnected, "gone");
        }

        Assert.Equal(1, taken.CurrentCount);
    });

    [Fact]
    public void A_loss_before_a_wait_ends_it_and_is_not_thrown()
    {
        (PolledDescriptor descriptor, FileStream peer) = NewPair();
        using (descriptor)
        using (peer)
        {
            descriptor.Fail(ConnectionLoss.Disconnected, "gone");
            Assert.True(descriptor.Wait(PollEvents.Readable, TimeSpan.Zero));
        }
    }

    private static (PolledDescriptor Descriptor, FileStream Peer) NewPair()
    {
        (int ours, int theirs) = OutgoingPair.NewSocketPair();
        return (
            new PolledDescriptor(new SafeFileHandle(ours, ownsHandle: true), "the peer"),
            new FileStream(new SafeFileHandle(theirs, ownsHandle: true), FileAccess.Write, bufferSize: 0));
    }
}
