namespace RdmaMigration.Linux;

/// <summary>
/// Whether the current thread may make a call that can block. The big lock forbids it while it is held: a peer that stops answering must not stop the
/// monitor. Every wait and every channel read and write asserts it, so that nobody has to remember to.
/// </summary>
public static class BlockingCalls
{
    [ThreadStatic]
    private static string? s_reason;

    /// <summary>True unless <see cref="Forbid"/> was called on this thread.</summary>
    public static bool AreAllowed => s_reason is null;

    /// <summary>Forbids blocking calls on this thread until <see cref="Allow"/>. It does not nest: the second call replaces the reason.</summary>
    /// <param name="why">The reason, for the message; such as "the big lock is held, taken by Dispatch".</param>
    public static void Forbid(string why) => s_reason = why;

    /// <summary>Allows blocking calls on this thread again.</summary>
    public static void Allow() => s_reason = null;

    /// <summary>States that the current thread may block. It costs one read of a thread's own field.</summary>
    /// <exception cref="InvalidOperationException">It may not, which is a defect of the caller.</exception>
    public static void AssertAllowed()
    {
        if (s_reason is { } reason)
        {
            throw new InvalidOperationException($"thread '{Thread.CurrentThread.Name}' makes a call that can block, but {reason}");
        }
    }
}
