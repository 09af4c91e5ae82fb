namespace RdmaMigration.Engine;

/// <summary>The locks whose order is asserted: a thread takes only locks that come after those that it holds (THREADING.md, Lock order).</summary>
internal enum LockRank
{
    /// <summary>The big lock.</summary>
    BigLock,

    /// <summary>A stop of a migration, against its teardown.</summary>
    Stop,

    /// <summary>A migration's status, phase and first reason.</summary>
    State,

    /// <summary>Figures of a work or a delivery.</summary>
    Figures,
}

/// <summary>
/// Asserts the order in which a thread takes its locks. A thread that breaks it fails at once, also when no other thread holds the other lock at that moment.
/// It reads and writes one field of the thread.
/// </summary>
internal static class LockOrder
{
    /// <summary>A bit for each rank that this thread holds.</summary>
    [ThreadStatic]
    private static uint s_held;

    /// <summary>States that this thread is about to take a lock.</summary>
    /// <exception cref="InvalidOperationException">It holds a lock of this rank or of a lower one, which is a defect.</exception>
    public static void Take(LockRank rank)
    {
        if (s_held >> (int)rank != 0)
        {
            throw new InvalidOperationException(
                $"thread '{Thread.CurrentThread.Name}' takes the lock '{rank}' while it holds '{(LockRank)uint.Log2(s_held)}', "
                + $"against the order of {nameof(LockRank)}");
        }

        s_held |= 1U << (int)rank;
    }

    /// <summary>States that this thread has released a lock.</summary>
    public static void Release(LockRank rank) => s_held &= ~(1U << (int)rank);
}

/// <summary>A lock with a place in the order of locks. A thread may enter one that it holds again.</summary>
internal sealed class RankedLock(LockRank rank)
{
    private readonly object _gate = new();

    /// <summary>Takes the lock until the scope is disposed.</summary>
    /// <exception cref="InvalidOperationException">This thread holds a lock that comes after it, which is a defect.</exception>
    public Scope Enter()
    {
        if (Monitor.IsEntered(_gate))
        {
            return default;
        }

        LockOrder.Take(rank);
        Monitor.Enter(_gate);
        return new Scope(this);
    }

    private void Exit()
    {
        Monitor.Exit(_gate);
        LockOrder.Release(rank);
    }

    /// <summary>Holds the lock.</summary>
    public readonly ref struct Scope
    {
        private readonly RankedLock? _entered;

        internal Scope(RankedLock entered) => _entered = entered;

        /// <summary>Releases the lock.</summary>
        public void Dispose() => _entered?.Exit();
    }
}
