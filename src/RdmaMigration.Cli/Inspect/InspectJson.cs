using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using RdmaMigration.Streams;

namespace RdmaMigration.Cli.Inspect;

/// <summary>The report for programs: one JSON object, names in QMP's style.</summary>
internal static class InspectJson
{
    // Device state nests as deep as its vmdescription, each level two of JSON; text goes to a terminal or a file, never into HTML.
    private static readonly InspectJsonContext s_context = new(new JsonSerializerOptions(InspectJsonContext.Default.Options)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = 4096,
    });

    public static void Write(StreamReport report, TextWriter output) =>
        output.WriteLine(JsonSerializer.Serialize(report, s_context.StreamReport));
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = false,
    Converters = [typeof(StreamEndConverter)])]
[JsonSerializable(typeof(StreamReport))]
internal sealed partial class InspectJsonContext : JsonSerializerContext;

/// <summary>How the stream ended, as a word.</summary>
internal sealed class StreamEndConverter() : JsonStringEnumConverter<StreamEnd>(JsonNamingPolicy.KebabCaseLower);
