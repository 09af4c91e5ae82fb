using System.Text.Json;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Remote;

/// <summary>What a monitor answers to query-migrate. Members that this program does not know are ignored; those that are absent are null.</summary>
internal sealed record MigrationQuery
{
    /// <summary>The status in QEMU's words; null before the first migration.</summary>
    public string? Status { get; init; }

    /// <summary>Why it failed.</summary>
    public string? ErrorDescription { get; init; }

    /// <summary>The process listens for a source.</summary>
    public bool IsListening { get; init; }

    /// <summary>From the start to the end, or to now.</summary>
    public TimeSpan? TotalTime { get; init; }

    /// <summary>From the start to the first of RAM.</summary>
    public TimeSpan? SetupTime { get; init; }

    /// <summary>How long the machine was stopped.</summary>
    public TimeSpan? Downtime { get; init; }

    /// <summary>How long sending what is dirty would take now; null for longer than a day, as when nothing is sent.</summary>
    public TimeSpan? ExpectedDowntime { get; init; }

    /// <summary>By how many percent auto-converge slows the machine; 0 for not at all.</summary>
    public int Throttle { get; init; }

    /// <summary>RAM's figures; null when there are none, as at a destination.</summary>
    public RamQuery? Ram { get; init; }

    /// <summary>The status for this program: one that it does not know, as of postcopy, is Active.</summary>
    public MigrationStatus KnownStatus => ToStatus(Status);

    /// <summary>Reads the value of query-migrate.</summary>
    public static MigrationQuery Parse(JsonElement value) => new()
    {
        Status = Text(value, "status"),
        ErrorDescription = Text(value, "error-desc"),
        IsListening = Member(value, "socket-address") is not null,
        TotalTime = Milliseconds(value, "total-time"),
        SetupTime = Milliseconds(value, "setup-time"),
        Downtime = Milliseconds(value, "downtime"),
        ExpectedDowntime = Milliseconds(value, "expected-downtime"),
        Throttle = (int)Math.Clamp(Number(value, "cpu-throttle-percentage") ?? 0, 0, 100),
        Ram = Member(value, "ram") is { ValueKind: JsonValueKind.Object } ram ? RamQuery.Parse(ram) : null,
    };

    /// <summary>QEMU's word as a status.</summary>
    public static MigrationStatus ToStatus(string? word) => word switch
    {
        null or "none" => MigrationStatus.None,
        "setup" or "wait-unplug" => MigrationStatus.Setup,
        "pre-switchover" => MigrationStatus.PreSwitchover,
        "device" => MigrationStatus.Device,
        "cancelling" => MigrationStatus.Cancelling,
        "cancelled" => MigrationStatus.Cancelled,
        "completed" => MigrationStatus.Completed,
        "failed" => MigrationStatus.Failed,
        _ => MigrationStatus.Active,
    };

    /// <summary>A whole number; null when it is absent or no number.</summary>
    internal static long? Number(JsonElement of, string name) => Member(of, name) is not { ValueKind: JsonValueKind.Number } number
        ? null
        : number.TryGetInt64(out long whole) ? whole : long.CreateSaturating(number.GetDouble());

    /// <summary>A number; null when it is absent or no number.</summary>
    internal static double? Real(JsonElement of, string name) =>
        Member(of, name) is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : null;

    private static string? Text(JsonElement of, string name) => Member(of, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static TimeSpan? Milliseconds(JsonElement of, string name) =>
        Number(of, name) is { } number and >= 0 && number < TimeSpan.FromDays(1).TotalMilliseconds ? TimeSpan.FromMilliseconds(number) : null;

    private static JsonElement? Member(JsonElement of, string name) =>
        of.ValueKind is JsonValueKind.Object && of.TryGetProperty(name, out JsonElement member) ? member : null;
}

/// <summary>The member "ram" of query-migrate, in bytes where nothing else is said.</summary>
/// <param name="Total">RAM of the machine.</param>
/// <param name="Transferred">Sent so far, over all passes.</param>
/// <param name="Remaining">Still to be sent, as far as known.</param>
/// <param name="Duplicate">Zero pages.</param>
/// <param name="PageSize">Of a page.</param>
/// <param name="DirtyPagesRate">Pages a second that the machine dirties.</param>
/// <param name="Passes">dirty-sync-count: passes over RAM that have begun.</param>
/// <param name="BytesPerSecond">The rate, as QEMU counts it.</param>
internal sealed record RamQuery(
    long Total, long Transferred, long Remaining, long Duplicate, long PageSize, long DirtyPagesRate, int Passes, double BytesPerSecond)
{
    /// <summary>Reads the member. QEMU's defaults are in the place of what is absent.</summary>
    public static RamQuery Parse(JsonElement ram) => new(
        MigrationQuery.Number(ram, "total") ?? 0,
        MigrationQuery.Number(ram, "transferred") ?? 0,
        MigrationQuery.Number(ram, "remaining") ?? 0,
        MigrationQuery.Number(ram, "duplicate") ?? 0,
        MigrationQuery.Number(ram, "page-size") ?? 4096,
        MigrationQuery.Number(ram, "dirty-pages-rate") ?? 0,
        (int)Math.Clamp(MigrationQuery.Number(ram, "dirty-sync-count") ?? 0, 0, int.MaxValue),
        (MigrationQuery.Real(ram, "mbps") ?? 0) * 1e6 / 8);

    /// <summary>Bytes of RAM that the destination has, zero pages included; it goes back when pages get dirty.</summary>
    public long Done => Math.Clamp(Total - Remaining, 0, Math.Max(Total, 0));
}
