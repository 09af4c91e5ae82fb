using System.Collections.Immutable;
using RdmaMigration.Transport;

namespace RdmaMigration.Engine;

/// <summary>
/// The values of all parameters and capabilities. A set never changes; <see cref="With"/> makes another one. So several values are set together or not at all,
/// and a migration that runs keeps what it began with, except max-bandwidth and downtime-limit.
/// </summary>
internal sealed class ParameterSet
{
    private readonly ImmutableDictionary<Parameter, object?> _values;

    private ParameterSet(ImmutableDictionary<Parameter, object?> values) => _values = values;

    /// <summary>Every parameter has its default.</summary>
    public static ParameterSet Defaults { get; } = new(ImmutableDictionary<Parameter, object?>.Empty);

    /// <summary>The value that was set, else the default.</summary>
    public T Get<T>(Parameter<T> parameter) => _values.TryGetValue(parameter, out object? value) ? (T)value! : parameter.Default;

    /// <summary>A value was set.</summary>
    public bool IsSet(Parameter parameter) => _values.ContainsKey(parameter);

    /// <summary>The same values but one.</summary>
    /// <exception cref="ParameterException">The value is out of range.</exception>
    public ParameterSet With<T>(Parameter<T> parameter, T value)
    {
        parameter.Check(value);
        return new ParameterSet(_values.SetItem(parameter, value));
    }

    /// <summary>Reads values by name, as a program gives them in words.</summary>
    /// <param name="values">Names and values; null for none.</param>
    /// <param name="uri">The channel that they are for.</param>
    /// <param name="side">The side that they are for.</param>
    /// <exception cref="ArgumentException">A parameter is unknown, means nothing there, or has no such value.</exception>
    public static ParameterSet Parse(IReadOnlyDictionary<string, string>? values, MigrationUri uri, MigrationSide side)
    {
        ParameterSet set = Defaults;
        foreach ((string name, string text) in values ?? ImmutableDictionary<string, string>.Empty)
        {
            Parameter? parameter = MigrationParameters.All.FirstOrDefault(row => row.Name == name && (row.Side & side) != 0);
            set = parameter?.SetFrom(set, text) ?? throw new ArgumentException($"there is no parameter '{name}'", nameof(values));
        }

        return set.OutOfScope(uri, side).FirstOrDefault() is { } misplaced
            ? throw new ArgumentException($"{misplaced.Name} is for {misplaced.Channels} only, not for {uri}", nameof(values))
            : set;
    }

    /// <summary>The same values without those that mean nothing for a channel of this kind: of a relay, whose two channels have one set.</summary>
    /// <param name="uri">The channel's address.</param>
    public ParameterSet For(MigrationUri uri) =>
        new(_values.RemoveRange(MigrationParameters.All.Where(parameter => parameter.Side is MigrationSide.Both && !parameter.AppliesTo(uri))));

    /// <summary>The parameters that were set and mean nothing for a channel of this kind.</summary>
    /// <param name="uri">The channel's address.</param>
    /// <param name="side">The side that the channel is for.</param>
    public IEnumerable<Parameter> OutOfScope(MigrationUri uri, MigrationSide side) =>
        MigrationParameters.All.Where(parameter => HasValue(parameter) && parameter.Side.HasFlag(side) && !parameter.AppliesTo(uri));

    private bool HasValue(Parameter parameter) => _values.TryGetValue(parameter, out object? value) && value is not "";
}
