namespace RdmaMigration.Engine.Tests;

/// <summary>THREADING.md, Lock order.</summary>
public sealed class LockOrderTests
{
    [Fact]
    public void Locks_are_taken_in_their_order_and_again_after_their_release()
    {
        BigLock bigLock = new();
        RankedLock stop = new(LockRank.Stop);
        RankedLock state = new(LockRank.State);
        RankedLock figures = new(LockRank.Figures);
        for (int i = 0; i < 2; i++)
        {
            bigLock.Acquire();
            using (stop.Enter())
            using (state.Enter())
            using (figures.Enter())
            {
            }

            bigLock.Release();
        }
    }

    [Theory]
    [InlineData(LockRank.State, LockRank.Stop)]
    [InlineData(LockRank.State, LockRank.State)]
    [InlineData(LockRank.Figures, LockRank.State)]
    [InlineData(LockRank.Figures, LockRank.Figures)]
    public void A_lock_is_refused_under_one_that_does_not_come_before_it(object held, object wanted)
    {
        RankedLock outer = new((LockRank)held);
        RankedLock inner = new((LockRank)wanted);
        using (outer.Enter())
        {
            InvalidOperationException refused = Assert.Throws<InvalidOperationException>(() => inner.Enter().Dispose());
            Assert.Contains($"'{wanted}'", refused.Message, StringComparison.Ordinal);
            Assert.Contains($"'{held}'", refused.Message, StringComparison.Ordinal);
        }

        using (inner.Enter())
        {
        }
    }

    [Theory]
    [InlineData(LockRank.Stop)]
    [InlineData(LockRank.State)]
    [InlineData(LockRank.Figures)]
    public void The_big_lock_is_refused_under_every_other_lock(object held)
    {
        BigLock bigLock = new();
        RankedLock outer = new((LockRank)held);
        using (outer.Enter())
        {
            Assert.Throws<InvalidOperationException>(() => bigLock.Acquire());
            Assert.False(bigLock.IsHeld);
        }

        bigLock.Acquire();
        bigLock.Release();
    }

    [Fact]
    public void A_migration_that_reports_a_transition_cannot_take_the_big_lock()
    {
        BigLock bigLock = new();
        MigrationState state = new() { Changed = _ => bigLock.Acquire() };
        Assert.Throws<InvalidOperationException>(() => state.GoTo(MigrationStatus.Setup));
        Assert.Equal(MigrationStatus.Setup, state.Snapshot().Status);
    }

    [Fact]
    public void A_lock_that_a_thread_holds_is_entered_again_and_stays_held()
    {
        RankedLock state = new(LockRank.State);
        using (state.Enter())
        {
            using (state.Enter())
            {
            }

            Assert.Throws<InvalidOperationException>(() => new RankedLock(LockRank.State).Enter().Dispose());
        }
    }

    [Fact]
    public void A_lock_is_entered_without_an_allocation()
    {
        RankedLock figures = new(LockRank.Figures);
        EnterOnce(figures);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            EnterOnce(figures);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static void EnterOnce(RankedLock ranked)
    {
        using (ranked.Enter())
        {
        }
    }
}
