using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Remote;

/// <summary>A capability to switch.</summary>
internal readonly record struct CapabilitySetting(string Name, bool IsOn)
{
    /// <summary>Reads <c>NAME</c> or <c>NAME=on|off</c>.</summary>
    public static CapabilitySetting[] Parse(ArgumentResult result) => [.. result.Tokens.Select(token =>
    {
        (string name, string? state) = NamedValue.Split(token.Value);
        return name.Length > 0 && state is (null or "on" or "off")
            ? new CapabilitySetting(name, state is not "off")
            : SharedOptions.Refuse<CapabilitySetting>(result, $"--capability: '{token.Value}' is not NAME or NAME=on|off");
    })];
}

/// <summary>A parameter and its value as text.</summary>
internal readonly record struct NamedValue(string Name, string Value)
{
    /// <summary>Reads <c>NAME=VALUE</c>.</summary>
    public static NamedValue[] Parse(ArgumentResult result) => [.. result.Tokens.Select(token =>
    {
        (string name, string? value) = Split(token.Value);
        return name.Length > 0 && value is not null
            ? new NamedValue(name, value)
            : SharedOptions.Refuse<NamedValue>(result, $"--parameter: '{token.Value}' is not NAME=VALUE");
    })];

    /// <summary>The text before and behind the first equals sign; null behind when there is none.</summary>
    public static (string Before, string? Behind) Split(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? (text, null) : (text[..equals], text[(equals + 1)..]);
    }
}

/// <summary>Capabilities and parameters to set before a migration.</summary>
/// <param name="Capabilities">In the order of the command line.</param>
/// <param name="Parameters">In the order of the command line.</param>
internal sealed record MonitorSettings(IReadOnlyList<CapabilitySetting> Capabilities, IReadOnlyList<NamedValue> Parameters)
{
    /// <summary>Sets them, capabilities first. Others keep the values that the process has.</summary>
    public async Task ApplyAsync(MonitorSession monitor)
    {
        await monitor.SetCapabilitiesAsync([new CapabilitySetting("events", IsOn: true), .. Capabilities]).ConfigureAwait(false);
        if (Parameters.Count > 0)
        {
            JsonElement current = await monitor.ParametersAsync().ConfigureAwait(false);
            await monitor.SetParametersAsync(arguments =>
            {
                foreach (NamedValue parameter in Parameters)
                {
                    arguments.WritePropertyName(parameter.Name);
                    WriteValue(arguments, parameter.Value, current.TryGetProperty(parameter.Name, out JsonElement value) ? value.ValueKind : default);
                }
            }).ConfigureAwait(false);
        }
    }

    /// <summary>Writes what was asked for, as members of an object.</summary>
    public void WriteTo(Utf8JsonWriter json)
    {
        foreach (CapabilitySetting capability in Capabilities)
        {
            json.WriteBoolean(capability.Name, capability.IsOn);
        }

        foreach (NamedValue parameter in Parameters)
        {
            json.WritePropertyName(parameter.Name);
            WriteValue(json, parameter.Value, kind: default);
        }
    }

    /// <summary>Writes a text as the kind of value that the parameter has now. One that does not fit goes as a string: the peer says what it expects.</summary>
    /// <param name="json">Takes it.</param>
    /// <param name="text">The value of the command line. Numbers may have a unit, as 100M.</param>
    /// <param name="kind">The kind of the current value; undefined when the parameter is not listed.</param>
    internal static void WriteValue(Utf8JsonWriter json, string text, JsonValueKind kind)
    {
        bool mayConvert = kind is not JsonValueKind.String;
        if (mayConvert && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number))
        {
            json.WriteNumberValue(number);
        }
        else if (mayConvert && ByteSize.TryParse(text, out ulong size, out _))
        {
            json.WriteNumberValue(size);
        }
        else if (mayConvert && text is ("on" or "true" or "off" or "false"))
        {
            json.WriteBooleanValue(text is "on" or "true");
        }
        else
        {
            json.WriteStringValue(text);
        }
    }
}
