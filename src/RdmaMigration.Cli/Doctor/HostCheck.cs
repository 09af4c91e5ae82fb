using System.Text.Json.Serialization;

namespace RdmaMigration.Cli.Doctor;

/// <summary>How a check ended. Anything missing means that no migration over RDMA can arrive here.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CheckStatus>))]
internal enum CheckStatus
{
    [JsonStringEnumMemberName("ok")]
    Ok,

    [JsonStringEnumMemberName("warn")]
    Warn,

    [JsonStringEnumMemberName("missing")]
    Missing,
}

/// <summary>One line of the report: the subject, the finding, and the command that fixes the problem.</summary>
internal sealed record HostCheck(string Group, string Name, CheckStatus Status, string Detail, string? Fix = null)
{
    /// <summary>For a device or a port: whether a migration can arrive on it.</summary>
    [JsonIgnore]
    public bool IsUsable { get; init; }
}
