using System.CommandLine;
using System.CommandLine.Parsing;
using RdmaMigration.Service;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli;

/// <summary>What a command exports of metrics and traces: the option --metrics, and the variables of the OpenTelemetry specification.</summary>
internal sealed class TelemetrySettings
{
    private const string Name = "--metrics";
    private const string PushEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string Disabled = "OTEL_SDK_DISABLED";

    private readonly Option<TcpUri?> _metrics = new(Name)
    {
        Description = "Serve metrics for Prometheus at http://HOST:PORT/metrics; without HOST, on all addresses. Metrics and traces are also pushed over "
            + $"OTLP if the variable {PushEndpoint} is set",
        HelpName = "HOST:PORT",
        CustomParser = Parse,
    };

    /// <summary>Adds the option, and the check of the variables.</summary>
    public void AddTo(IList<Option> options, List<Action<CommandResult>> validators)
    {
        options.Add(_metrics);
        validators.Add(Check);
    }

    /// <summary>The values of the command line and the environment.</summary>
    public TelemetryOptions Read(ParseResult parsed) => new()
    {
        Endpoint = parsed.GetValue(_metrics),
        IsPushed = Variable(PushEndpoint) is not null && !IsDisabled,
        Version = Rdmamig.Version,
    };

    private static bool IsDisabled => string.Equals(Variable(Disabled), "true", StringComparison.OrdinalIgnoreCase);

    private void Check(CommandResult result)
    {
        if (Variable(PushEndpoint) is { } endpoint
            && !(Uri.TryCreate(endpoint, UriKind.Absolute, out Uri? url) && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps)))
        {
            result.AddError($"{PushEndpoint}: '{endpoint}' is not a URL; expected http://HOST:PORT or https://HOST:PORT");
        }

        if (IsDisabled && result.GetResult(_metrics) is { Implicit: false })
        {
            result.AddError($"{Name} exports by OpenTelemetry, and {Disabled} is true");
        }
    }

    private static TcpUri? Parse(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        try
        {
            return TcpUri.Parse($"{TcpUri.SchemeName}:{text}");
        }
        catch (FormatException malformed)
        {
            // The user has written no scheme.
            return SharedOptions.Refuse<TcpUri>(result, $"{Name}: {malformed.Message.Replace($"{TcpUri.SchemeName}:", "", StringComparison.Ordinal)}");
        }
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
