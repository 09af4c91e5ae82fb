namespace RdmaMigration.Engine.Tests;

/// <summary>The same options but one parameter.</summary>
internal static class OptionExtensions
{
    public static IncomingOptions With<T>(this IncomingOptions options, Parameter<T> parameter, T value) =>
        options with { Parameters = options.Parameters.With(parameter, value) };

    public static OutgoingOptions With<T>(this OutgoingOptions options, Parameter<T> parameter, T value) =>
        options with { Parameters = options.Parameters.With(parameter, value) };
}
