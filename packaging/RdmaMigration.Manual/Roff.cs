using System.Globalization;
using System.Text;

namespace RdmaMigration.Manual;

/// <summary>Text in roff, the language of man pages, with the macros of man(7).</summary>
internal sealed class Roff
{
    private readonly StringBuilder _text = new();

    /// <summary>A line that begins with a macro. Arguments are taken as they are: escaped.</summary>
    public void Macro(string name, params string[] arguments) =>
        _text.Append('.').AppendJoin(' ', arguments.Select(argument => $"\"{argument}\"").Prepend(name)).Append('\n');

    /// <summary>A line of text that is escaped already.</summary>
    public void Line(string escaped) => _text.Append(escaped.StartsWith('.') ? @"\&" : "").Append(escaped).Append('\n');

    /// <summary>A line of text.</summary>
    public void Text(string text) => Line(Escape(text));

    /// <summary>A paragraph with a hanging label.</summary>
    public void Item(string escapedLabel, string text)
    {
        Macro("TP");
        Line(escapedLabel);
        Text(text);
    }

    public static string Bold(string text) => $@"\fB{Escape(text)}\fR";

    public static string Italic(string text) => $@"\fI{Escape(text)}\fR";

    /// <summary>
    /// Text that appears as it is, so that it can be copied from the page. Unescaped, roff turns hyphens, quotes and carets into typographic ones.
    /// </summary>
    public static string Escape(string text)
    {
        StringBuilder escaped = new();
        foreach (Rune rune in text.EnumerateRunes())
        {
            escaped.Append(rune.Value switch
            {
                '\\' => @"\e",
                '-' => @"\-",
                '\'' => @"\(aq",
                '"' => @"\(dq",
                '`' => @"\(ga",
                '^' => @"\(ha",
                '~' => @"\(ti",
                < 0x80 => rune.ToString(),
                _ => string.Create(CultureInfo.InvariantCulture, $@"\[u{rune.Value:X4}]"),
            });
        }

        return escaped.ToString();
    }

    public override string ToString() => _text.ToString();
}
