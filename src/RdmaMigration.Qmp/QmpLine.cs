using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>
/// Makes the lines for clients in QEMU's spelling: a space behind each comma and colon, non-ASCII characters escaped, CR LF at the end. Scripts search them as
/// text.
/// </summary>
internal static class QmpLine
{
    private static readonly JsonWriterOptions s_options = new()
    {
        // Escapes only what JSON demands; Spell escapes the rest.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,

        // An id may be nested as deeply as a text, and lies within the reply.
        MaxDepth = QmpFramer.MaximumNesting + 1,
    };

    /// <summary>The first line of a session.</summary>
    public static byte[] Greeting(Action<Utf8JsonWriter> version) => Make(writer =>
    {
        writer.WriteStartObject("QMP");
        writer.WritePropertyName("version");
        version(writer);
        writer.WriteStartArray("capabilities");
        writer.WriteStringValue(QmpCapabilities.Oob);
        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    /// <summary>The reply to a request.</summary>
    public static byte[] Reply(QmpReply reply, JsonElement? id) => Make(writer =>
    {
        if (reply.Error is { } error)
        {
            WriteId(writer, id);
            writer.WriteStartObject("error");
            writer.WriteString("class", error.ErrorClass.ToString());
            writer.WriteString("desc", error.Message);
            writer.WriteEndObject();
        }
        else
        {
            writer.WritePropertyName("return");
            writer.WriteRawValue(reply.Value.Span, skipInputValidation: true);
            WriteId(writer, id);
        }
    });

    /// <summary>An event.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="write">Writes its data; null for none.</param>
    /// <param name="time">When it happened.</param>
    public static byte[] Event(string name, Action<Utf8JsonWriter>? write, DateTimeOffset time) => Make(writer =>
    {
        writer.WriteStartObject("timestamp");
        writer.WriteNumber("seconds", time.ToUnixTimeSeconds());
        writer.WriteNumber("microseconds", time.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond);
        writer.WriteEndObject();
        writer.WriteString("event", name);
        if (write is not null)
        {
            writer.WritePropertyName("data");
            write(writer);
        }
    });

    private static void WriteId(Utf8JsonWriter writer, JsonElement? id)
    {
        if (id is { } value)
        {
            writer.WritePropertyName("id");
            value.WriteTo(writer);
        }
    }

    private static byte[] Make(Action<Utf8JsonWriter> members)
    {
        ArrayBufferWriter<byte> compact = new();
        using Utf8JsonWriter writer = new(compact, s_options);
        writer.WriteStartObject();
        members(writer);
        writer.WriteEndObject();
        writer.Flush();
        return Spell(compact.WrittenSpan);
    }

    private static byte[] Spell(ReadOnlySpan<byte> compact)
    {
        ArrayBufferWriter<byte> line = new(compact.Length + (compact.Length / 8) + 16);
        bool isInString = false;
        while (!compact.IsEmpty)
        {
            // Without an escape sequence, a quote begins or ends a string.
            int plain = compact.IndexOfAnyExceptInRange((byte)0, (byte)0x7f) is { } first and >= 0 ? first : compact.Length;
            int i = 0;
            for (; i < plain; i++)
            {
                byte next = compact[i];
                if (next == '\\')
                {
                    Put(line, next);
                    next = compact[++i];
                }
                else if (next == '"')
                {
                    isInString = !isInString;
                }

                Put(line, next);
                if (!isInString && next is (byte)',' or (byte)':')
                {
                    Put(line, (byte)' ');
                }
            }

            compact = compact[i..];
            if (!compact.IsEmpty)
            {
                Rune.DecodeFromUtf8(compact, out Rune rune, out int length);
                compact = compact[length..];
                foreach (char unit in rune.ToString())
                {
                    line.Write(Encoding.ASCII.GetBytes($"\\u{(int)unit:X4}"));
                }
            }
        }

        line.Write("\r\n"u8);
        return line.WrittenSpan.ToArray();
    }

    private static void Put(ArrayBufferWriter<byte> line, byte value)
    {
        line.GetSpan(1)[0] = value;
        line.Advance(1);
    }
}
