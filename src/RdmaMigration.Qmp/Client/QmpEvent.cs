using System.Text.Json;

namespace RdmaMigration.Qmp.Client;

/// <summary>An event of a monitor.</summary>
/// <param name="Name">Its name, as MIGRATION.</param>
/// <param name="Data">Its data; undefined for none.</param>
internal readonly record struct QmpEvent(string Name, JsonElement Data)
{
    /// <summary>The member "status" of the data; null for none.</summary>
    public string? Status => Data.ValueKind is JsonValueKind.Object && Data.TryGetProperty("status", out JsonElement status)
        && status.ValueKind is JsonValueKind.String ? status.GetString() : null;
}
