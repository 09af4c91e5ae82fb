using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RdmaMigration.Cli.Doctor;

/// <summary>The report for programs: one JSON object, names in QMP's style.</summary>
internal static class DoctorJson
{
    private static readonly DoctorJsonContext s_context = new(new JsonSerializerOptions(DoctorJsonContext.Default.Options)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    public static void Write(HostReport report, TextWriter output) =>
        output.WriteLine(JsonSerializer.Serialize(report, s_context.HostReport));
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = false,
    Converters = [typeof(CheckStatusConverter)])]
[JsonSerializable(typeof(HostReport))]
internal sealed partial class DoctorJsonContext : JsonSerializerContext;

/// <summary>Statuses in lower case, as the text report has them.</summary>
internal sealed class CheckStatusConverter() : JsonStringEnumConverter<CheckStatus>(JsonNamingPolicy.KebabCaseLower);
