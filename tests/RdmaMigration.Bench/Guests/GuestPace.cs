namespace RdmaMigration.Bench.Guests;

/// <summary>How a guest of QEMU is kept at a rate.</summary>
/// <param name="Rate">The rate that was asked for, MiB/s.</param>
/// <param name="Delay">Runs of the delay loop after each page.</param>
/// <param name="PagesPerCharacter">Pages between two characters on COM1.</param>
/// <param name="Reached">The rate that the guest reaches with it while nothing else runs, MiB/s.</param>
internal sealed record GuestPace(int Rate, uint Delay, uint PagesPerCharacter, double Reached)
{
    private const double PagesPerMebibyte = 256;
    private const double CharactersPerSecond = 50;

    /// <summary>Where calibration begins: slow on any host.</summary>
    public static GuestPace Slow { get; } = new(Rate: 0, Delay: 100_000, PagesPerCharacter: 4, Reached: 0);

    /// <summary>The rate that rdmamig's guest gets, in bytes a second.</summary>
    public long BytesPerSecond => (long)(Reached * (1 << 20));

    /// <summary>The pace for another rate, by what this one reaches: the delay takes nearly all of a page's time.</summary>
    public GuestPace For(int rate) => new(
        rate,
        (uint)Math.Clamp(Delay * Reached / rate, 1, uint.MaxValue),
        (uint)Math.Max(rate * PagesPerMebibyte / CharactersPerSecond, 1),
        Reached: 0);
}
