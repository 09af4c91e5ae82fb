using RdmaMigration.Bench.Matrix;

namespace RdmaMigration.Bench.Tests;

/// <summary>Figures that nobody measured.</summary>
internal static class Samples
{
    public static MatrixFigures Matrix { get; } = new(
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
        new MeasuredHost("6.1", "A processor", 2, "tcg", "rxe0", "7.2.0", "0.1.0"),
        "pc",
        Repeats: 3,
        [new Reference(100, 20, 60), new Reference(80, 22, 64)],
        [new RegistrationCost(1 << 20, 160, 110), new RegistrationCost(64 << 20, 120, 40)],
        [.. Passages()]);

    private static IEnumerable<Passage> Passages() =>
        from workload in (Workload[])[new(64, 0), new(128, 0), new(64, 90), new(128, 90)]
        from mode in Enum.GetValues<Mode>()
        from route in Route.All
        from repeat in Enumerable.Range(0, 3)
        let milliseconds = 100 + (workload.DataMebibytes * (12.0 + repeat))
        select new Passage(
            route, mode, workload, milliseconds, 50, milliseconds - 60, new ProcessorTime(0.1 + repeat, 0.4), default, new ProcessorTime(0.2, 0.3), default);
}
