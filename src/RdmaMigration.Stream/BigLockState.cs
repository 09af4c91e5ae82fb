using System.Runtime.CompilerServices;
using RdmaMigration.Linux;

namespace RdmaMigration.Streams;

/// <summary>Whether the caller holds the big lock. Code that may run either way takes it as a parameter, and asserts that it is the truth.</summary>
internal enum BigLockState
{
    /// <summary>The caller does not hold the lock.</summary>
    NotHeld,

    /// <summary>The caller holds the lock.</summary>
    Held,
}

/// <summary>The check of what a caller says about the big lock, for code below the engine, which has the lock.</summary>
internal static class BigLockStates
{
    /// <summary>States what the caller says about the lock. A thread that holds it may not block, which shows here.</summary>
    /// <exception cref="InvalidOperationException">It is not the truth, which is a defect.</exception>
    public static void Assert(this BigLockState state, [CallerMemberName] string site = "")
    {
        BigLockState truth = BlockingCalls.AreAllowed ? BigLockState.NotHeld : BigLockState.Held;
        if (state != truth)
        {
            throw new InvalidOperationException($"{site}: the caller says {state} of the big lock, but it is {truth} on thread '{Thread.CurrentThread.Name}'");
        }
    }
}
