using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RdmaMigration.Cli.Remote;

/// <summary>Samples for programs, in QMP's form: one JSON object a line on stdout. Figures that the process does not report are absent.</summary>
internal sealed class TopJson(Screen screen) : ITopView
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public Task ShowAsync(string title, Func<Action<TopHistory>, Task> sample) => sample(Write);

    public void Abandon()
    {
    }

    private static void WriteData(Utf8JsonWriter json, TopHistory history)
    {
        TopSample sample = history.Latest!;
        json.WriteString("role", TopText.Role(sample.Role));
        json.WriteString("run-state", sample.RunState);
        json.WriteString("status", sample.Status);
        WriteTime(json, "total-time", sample.Migration.TotalTime);
        WriteTime(json, "setup-time", sample.Migration.SetupTime);
        WriteTime(json, "expected-downtime", sample.Migration.ExpectedDowntime);
        WriteTime(json, "downtime", sample.Migration.Downtime);
        if (history.Ram is { } ram)
        {
            json.WriteNumber("dirty-sync-count", ram.Passes);
            json.WriteNumber("dirty-pages-rate", ram.DirtyPagesRate);
            json.WriteNumber("cpu-throttle-percentage", sample.Migration.Throttle);
            json.WriteNumber("bandwidth", (long)history.Rate);
            json.WriteStartObject("ram");
            json.WriteNumber("total", ram.Total);
            json.WriteNumber("transferred", ram.Transferred);
            json.WriteNumber("remaining", ram.Remaining);
            json.WriteNumber("zero", ram.Duplicate * ram.PageSize);
            json.WriteEndObject();
        }

        if (sample.Migration.ErrorDescription is { } error)
        {
            json.WriteString("error-desc", error);
        }
    }

    private static void WriteTime(Utf8JsonWriter json, string name, TimeSpan? time)
    {
        if (time is { } known)
        {
            json.WriteNumber(name, (long)known.TotalMilliseconds);
        }
    }

    private void Write(TopHistory history)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        ArrayBufferWriter<byte> line = new();
        using (Utf8JsonWriter json = new(line, s_options))
        {
            json.WriteStartObject();
            json.WriteStartObject("timestamp");
            json.WriteNumber("seconds", now.ToUnixTimeSeconds());
            json.WriteNumber("microseconds", now.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond);
            json.WriteEndObject();
            json.WriteString("event", "SAMPLE");
            json.WriteStartObject("data");
            WriteData(json, history);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        screen.Out.WriteLine(Encoding.UTF8.GetString(line.WrittenSpan));
        screen.Out.Flush();
    }
}
