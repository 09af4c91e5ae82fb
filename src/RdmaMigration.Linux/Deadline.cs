using System.Diagnostics;

namespace RdmaMigration.Linux;

/// <summary>Until when something may last. The clock is <see cref="Stopwatch"/>'s; the default value never passes.</summary>
public readonly struct Deadline : IEquatable<Deadline>, IComparable<Deadline>
{
    // 0 is never, so that a default value bounds nothing.
    private readonly long _at;

    private Deadline(long at) => _at = at;

    /// <summary>The deadline that never passes.</summary>
    public static Deadline Never => default;

    /// <summary>The deadline that has passed: a wait with it only looks.</summary>
    public static Deadline Passed => new(long.MinValue);

    /// <summary>True for the deadline that never passes.</summary>
    public bool IsNever => _at == 0;

    /// <summary>True once the time is over.</summary>
    public bool HasPassed => HasPassedAt(Stopwatch.GetTimestamp());

    /// <summary>The <see cref="Stopwatch"/> timestamp at which it passes; <see cref="long.MaxValue"/> for never.</summary>
    public long Timestamp => _at == 0 ? long.MaxValue : _at;

    /// <summary>
    /// What is left: zero or more, or <see cref="Timeout.InfiniteTimeSpan"/> for never, as the waits of .NET take it. At most <see cref="int.MaxValue"/>
    /// milliseconds (24 days), which is what these waits allow: look at <see cref="HasPassed"/> after a wait.
    /// </summary>
    public TimeSpan Left
    {
        get
        {
            if (_at == 0)
            {
                return Timeout.InfiniteTimeSpan;
            }

            long now = Stopwatch.GetTimestamp();
            return _at <= now ? TimeSpan.Zero : TimeSpan.FromMilliseconds(Math.Min(Stopwatch.GetElapsedTime(now, _at).TotalMilliseconds, int.MaxValue));
        }
    }

    /// <summary>What is left, for poll(2): whole milliseconds, rounded up, so that the time is over when the wait ends; -1 for never.</summary>
    public int Milliseconds => _at == 0 ? -1 : (int)Math.Min(Math.Ceiling(Left.TotalMilliseconds), int.MaxValue);

    /// <summary>The deadline a time from now. A negative time, such as <see cref="Timeout.InfiniteTimeSpan"/>, and one too long to count mean never.</summary>
    public static Deadline After(TimeSpan time) => time < TimeSpan.Zero ? Never : After(time, Stopwatch.GetTimestamp());

    /// <summary>The deadline a time after a <see cref="Stopwatch"/> timestamp.</summary>
    public static Deadline After(TimeSpan time, long timestamp)
    {
        double at = timestamp + (time.TotalSeconds * Stopwatch.Frequency);
        return time < TimeSpan.Zero || at >= long.MaxValue ? Never : At((long)at);
    }

    /// <summary>The deadline at a <see cref="Stopwatch"/> timestamp; <see cref="long.MaxValue"/> means never.</summary>
    public static Deadline At(long timestamp) => timestamp == long.MaxValue ? Never : new Deadline(timestamp == 0 ? 1 : timestamp);

    /// <summary>The one that passes first.</summary>
    public static Deadline Earlier(Deadline one, Deadline other) => one < other ? one : other;

    /// <summary>True if the time is over at a <see cref="Stopwatch"/> timestamp.</summary>
    public bool HasPassedAt(long timestamp) => Timestamp <= timestamp;

    /// <inheritdoc/>
    public int CompareTo(Deadline other) => Timestamp.CompareTo(other.Timestamp);

    /// <inheritdoc/>
    public bool Equals(Deadline other) => _at == other._at;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Deadline other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _at.GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => IsNever ? "never" : $"in {Left}";

    /// <summary>Same moment.</summary>
    public static bool operator ==(Deadline left, Deadline right) => left.Equals(right);

    /// <summary>Another moment.</summary>
    public static bool operator !=(Deadline left, Deadline right) => !left.Equals(right);

    /// <summary>Passes before.</summary>
    public static bool operator <(Deadline left, Deadline right) => left.CompareTo(right) < 0;

    /// <summary>Passes before, or at the same moment.</summary>
    public static bool operator <=(Deadline left, Deadline right) => left.CompareTo(right) <= 0;

    /// <summary>Passes after.</summary>
    public static bool operator >(Deadline left, Deadline right) => left.CompareTo(right) > 0;

    /// <summary>Passes after, or at the same moment.</summary>
    public static bool operator >=(Deadline left, Deadline right) => left.CompareTo(right) >= 0;
}
