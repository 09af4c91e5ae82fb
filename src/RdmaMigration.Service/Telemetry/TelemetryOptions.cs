using RdmaMigration.Transport;

namespace RdmaMigration.Service;

/// <summary>What a host exports of metrics and traces.</summary>
internal sealed record TelemetryOptions
{
    /// <summary>Nothing.</summary>
    public static TelemetryOptions None { get; } = new();

    /// <summary>Where Prometheus scrapes metrics, over HTTP; null for nowhere. Port 0 is a free one; an empty host is every address.</summary>
    public TcpUri? Endpoint { get; init; }

    /// <summary>Metrics and traces are pushed over OTLP, to where the variables of the OpenTelemetry specification say.</summary>
    public bool IsPushed { get; init; }

    /// <summary>The version of the program.</summary>
    public string? Version { get; init; }

    /// <summary>Nothing is exported.</summary>
    public bool IsNone => Endpoint is null && !IsPushed;
}
