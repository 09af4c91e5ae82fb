using RdmaMigration.Bench.Matrix;
using RdmaMigration.Testing;

namespace RdmaMigration.Bench.Faults;

/// <summary>Everything that one run found: what its JSON file holds, and what the table is made of.</summary>
/// <param name="Started">When the run began, UTC.</param>
/// <param name="Host">What the two guests ran on and with.</param>
/// <param name="PatienceSeconds">How long a QEMU was watched.</param>
/// <param name="Rows">Every case that was run.</param>
/// <param name="Failures">Cases that could not be run, and why.</param>
internal sealed record FaultFigures(
    DateTimeOffset Started, MeasuredHost Host, double PatienceSeconds, IReadOnlyList<FaultRow> Rows, IReadOnlyList<string> Failures);
