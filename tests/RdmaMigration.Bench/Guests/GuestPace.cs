using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Guests;

/// <summary>A dirty rate, as the guest of QEMU is set to it and as it reaches it.</summary>
/// <param name="Rate">The rate that was asked for, MiB/s.</param>
/// <param name="Reached">The rate that the guest reached last while it did not move, MiB/s; rdmamig's guest gets this one.</param>
internal sealed record GuestPace(int Rate, double Reached)
{
    private const int MiB = 1 << 20;

    /// <summary>Pages that the guest writes at each tick of its timer; then it writes a character to COM1.</summary>
    public static uint PagesPerTick(int rate) => (uint)rate * (MiB / DirtyingGuest.PageSize / DirtyingGuest.TicksPerSecond);

    /// <summary>The rate for rdmamig's guest, in bytes a second.</summary>
    public long BytesPerSecond => (long)(Reached * MiB);
}
