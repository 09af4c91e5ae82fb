namespace RdmaMigration.Engine;

/// <summary>
/// Detects a source that waits for SWITCHOVER_ACK. It repeats passes over the RAM that has changed, hundreds to thousands a second, each a PART section. A
/// source that does not wait stops its guest instead, once a pass is short. Until then QEMU fills 50 ms with each section, or its bandwidth limit ends the
/// section; a burst of short ones lasts 0.1 s, until QEMU has measured its bandwidth. Not detected is a source whose passes take long although it waits:
/// because the guest changes as much memory as the bandwidth limit lets through, or because a huge guest's dirty bitmap takes long to read.
/// </summary>
internal sealed class RepeatedPasses
{
    /// <summary>PART sections in one <see cref="Window"/> that only a source that waits sends.</summary>
    public const int Enough = 50;

    /// <summary>Windows in a row that must have <see cref="Enough"/>.</summary>
    public const int Windows = 2;

    private TimeSpan _began;
    private int _count;
    private int _windows;

    /// <summary>The time in which <see cref="Enough"/> must arrive.</summary>
    public static TimeSpan Window { get; } = TimeSpan.FromSeconds(1);

    /// <summary>Counts a PART section of RAM. True when the source is known to wait.</summary>
    /// <param name="now">Any steady clock.</param>
    public bool Count(TimeSpan now)
    {
        if (now - _began >= Window)
        {
            _windows = _count >= Enough && now - _began < 2 * Window ? _windows + 1 : 0;
            _began = now;
            _count = 0;
        }

        _count++;
        return _windows >= Windows;
    }
}
