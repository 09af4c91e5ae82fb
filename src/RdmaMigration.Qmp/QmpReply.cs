using System.Buffers;
using System.Text.Json;

namespace RdmaMigration.Qmp;

/// <summary>The result of a request.</summary>
/// <param name="Value">The value of "return" as JSON.</param>
/// <param name="Error">The error; null when the command succeeded.</param>
internal readonly record struct QmpReply(ReadOnlyMemory<byte> Value, QmpException? Error)
{
    private static readonly byte[] s_nothing = "{}"u8.ToArray();

    /// <summary>The command succeeded.</summary>
    /// <param name="write">Writes the value, now; null for {}.</param>
    /// <exception cref="InvalidOperationException">It does not write exactly one value, which is a defect.</exception>
    public static QmpReply Return(Action<Utf8JsonWriter>? write)
    {
        if (write is null)
        {
            return new QmpReply(s_nothing, Error: null);
        }

        ArrayBufferWriter<byte> value = new();
        using Utf8JsonWriter writer = new(value);
        write(writer);
        writer.Flush();
        return writer is { CurrentDepth: 0, BytesCommitted: > 0 }
            ? new QmpReply(value.WrittenMemory, Error: null)
            : throw new InvalidOperationException("a command wrote an incomplete value");
    }

    /// <summary>The request failed.</summary>
    public static QmpReply Fail(QmpException error) => new(default, error);
}
