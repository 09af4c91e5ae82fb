using System.Text.Json.Serialization;

namespace RdmaMigration.Bench.Guests;

/// <summary>What to measure.</summary>
internal sealed record GuestPlan
{
    private const int PagesPerMebibyte = 256;

    /// <summary>QEMU's guest writes from here on: firmware and the program itself are below.</summary>
    public const int FirstMebibyte = 16;

    /// <summary>The guest's RAM.</summary>
    public required int Mebibytes { get; init; }

    /// <summary>The share of RAM that the guest writes to, page after page.</summary>
    public required int WorkingSetPercent { get; init; }

    /// <summary>Dirty rates in MiB/s.</summary>
    public required IReadOnlyList<int> Rates { get; init; }

    /// <summary>How rdmamig sends RAM.</summary>
    public required IReadOnlyList<Mode> Modes { get; init; }

    /// <summary>How often each migration is measured.</summary>
    public int Repeats { get; init; } = 3;

    /// <summary>The downtime limit of both programs.</summary>
    public int DowntimeLimitMilliseconds { get; init; } = 300;

    /// <summary>A migration that takes longer does not converge.</summary>
    public int TimeoutSeconds { get; init; } = 60;

    /// <summary>How long the guest's rate is measured before it moves.</summary>
    public int BeforeSeconds { get; init; } = 3;

    /// <summary>After a start, how long a guest runs before its rate counts.</summary>
    public static TimeSpan Settling { get; } = TimeSpan.FromSeconds(1);

    /// <summary>Pages that the guest writes to; as many as rdmamig guest takes for the same share.</summary>
    public uint WorkingSetPages => (uint)Math.Max((long)Mebibytes * PagesPerMebibyte * WorkingSetPercent / 100, 1);

    /// <summary>Whether the working set fits into the RAM of QEMU's guest.</summary>
    [JsonIgnore]
    public bool Fits => WorkingSetPages <= (Mebibytes - FirstMebibyte) * PagesPerMebibyte;

    /// <summary>QEMU first, which is the measure of the others.</summary>
    [JsonIgnore]
    public IReadOnlyList<GuestContestant> Contestants => [GuestContestant.Qemu, .. Modes.Select(mode => new GuestContestant(Peer.Rdmamig, mode))];

    /// <summary>The guest in a few words.</summary>
    public override string ToString() => Report.Text($"{Mebibytes} MiB, working set {WorkingSetPercent} %, downtime limit {DowntimeLimitMilliseconds} ms");
}

/// <summary>Who moves a guest.</summary>
/// <param name="Peer">The program at both ends.</param>
/// <param name="Mode">How RAM travels.</param>
internal sealed record GuestContestant(Peer Peer, Mode Mode)
{
    /// <summary>QEMU as it is fastest.</summary>
    public static GuestContestant Qemu { get; } = new(Peer.Qemu, Mode.PinAll);

    public override string ToString() => $"{Words.Of(Peer)}, {Words.Of(Mode)}";
}
