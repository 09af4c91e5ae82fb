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
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HostReport))]
internal sealed partial class DoctorJsonContext : JsonSerializerContext;
