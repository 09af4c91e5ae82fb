namespace RdmaMigration.Linux.Tests;

public class BlockingCallsTests
{
    [Fact]
    public void A_wait_throws_while_blocking_calls_are_forbidden_on_its_thread()
    {
        using WakeEvent wake = new();
        BlockingCalls.Forbid("the lock is held by a test");
        try
        {
            InvalidOperationException refused = Assert.Throws<InvalidOperationException>(() => wake.Wait(Deadline.After(TimeSpan.FromSeconds(1))));
            Assert.Contains("the lock is held by a test", refused.Message, StringComparison.Ordinal);
            Assert.Throws<InvalidOperationException>(BlockingCalls.AssertAllowed);
            Assert.False(BlockingCalls.AreAllowed);
        }
        finally
        {
            BlockingCalls.Allow();
        }

        BlockingCalls.AssertAllowed();
        wake.Set();
        Assert.True(wake.Wait(Deadline.After(TimeSpan.FromSeconds(10))));
    }

    [Fact]
    public void A_look_without_a_wait_is_allowed_while_blocking_calls_are_forbidden()
    {
        using WakeEvent wake = new();
        BlockingCalls.Forbid("the lock is held by a test");
        try
        {
            Assert.False(wake.Wait(Deadline.Passed));
        }
        finally
        {
            BlockingCalls.Allow();
        }
    }

    [Fact]
    public void Another_thread_may_block_while_blocking_calls_are_forbidden_on_this_one()
    {
        BlockingCalls.Forbid("the lock is held by a test");
        try
        {
            bool isAllowed = false;
            Thread other = new(() => isAllowed = BlockingCalls.AreAllowed);
            other.Start();
            other.Join();
            Assert.True(isAllowed);
        }
        finally
        {
            BlockingCalls.Allow();
        }
    }
}
