namespace RdmaMigration.Service;

/// <summary>The value of an option of QEMU's: <c>socket,id=charmonitor,path=/run/a,,b</c>, where two commas are one in the value.</summary>
internal sealed class OptionValues
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <summary>Reads a value.</summary>
    public OptionValues(string text)
    {
        // No argument of a command line has a NUL.
        string[] parts = text.Replace(",,", "\0", StringComparison.Ordinal).Split(',');
        for (int i = 0; i < parts.Length; i++)
        {
            string part = parts[i].Replace('\0', ',');
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (i == 0 && equals < 0)
            {
                Kind = part;
            }
            else
            {
                _values[equals < 0 ? part : part[..equals]] = equals < 0 ? "on" : part[(equals + 1)..];
            }
        }
    }

    /// <summary>The first part, if it has no name; else empty.</summary>
    public string Kind { get; } = "";

    /// <summary>The value with this name; null when it is absent.</summary>
    public string? this[string name] => _values.GetValueOrDefault(name);

    /// <summary>An option that is off when it is absent.</summary>
    public bool IsOn(string name) => this[name] is "on" or "yes" or "true";
}
