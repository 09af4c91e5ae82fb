using System.Buffers;
using System.Globalization;
using System.Text;

namespace RdmaMigration.VmState;

/// <summary>
/// The vmdescription's JSON text, with the blanks that QEMU writes and with members that repeat where QEMU repeats them (elements of a list), which
/// <see cref="System.Text.Json.Utf8JsonWriter"/> does neither.
/// </summary>
internal sealed class DescriptionText
{
    private readonly ArrayBufferWriter<byte> _text = new();
    private int _muted;
    private bool _needsComma;

    /// <summary>The text so far.</summary>
    public ReadOnlyMemory<byte> Text => _text.WrittenMemory;

    /// <summary>Until as many <see cref="Unmute"/>, nothing is written.</summary>
    public void Mute() => _muted++;

    public void Unmute() => _muted--;

    public void StartObject(string? name = null) => Open(name, '{');

    public void EndObject() => Close('}');

    public void StartArray(string name) => Open(name, '[');

    public void EndArray() => Close(']');

    public void Add(string name, string value)
    {
        if (_muted == 0)
        {
            Member(name);
            Append($"\"{Escape(value)}\"");
            _needsComma = true;
        }
    }

    public void Add(string name, long value)
    {
        if (_muted == 0)
        {
            Member(name);
            Append(value.ToString(CultureInfo.InvariantCulture));
            _needsComma = true;
        }
    }

    private void Open(string? name, char brace)
    {
        if (_muted == 0)
        {
            Member(name);
            Append([brace]);
            _needsComma = false;
        }
    }

    private void Close(char brace)
    {
        if (_muted == 0)
        {
            Append([brace]);
            _needsComma = true;
        }
    }

    private void Member(string? name)
    {
        if (_needsComma)
        {
            Append(", ");
        }

        if (name is not null)
        {
            Append($"\"{name}\": ");
        }
    }

    // Names are printable ASCII: VmStateDescription checks them.
    private static string Escape(string value) => value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);

    private void Append(ReadOnlySpan<char> text) => Encoding.ASCII.GetBytes(text, _text);
}
