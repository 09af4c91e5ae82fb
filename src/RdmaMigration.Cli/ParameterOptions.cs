using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using RdmaMigration.Engine;
using RdmaMigration.Transport;

namespace RdmaMigration.Cli;

/// <summary>The command line's options for the engine's parameters, made from the table. A command adds those of the sides that it has.</summary>
internal sealed class ParameterOptions
{
    private readonly List<IBound> _options;
    private readonly MigrationSide _sides;

    public ParameterOptions(MigrationSide sides)
    {
        _sides = sides;
        _options = [.. MigrationParameters.All
            .Where(parameter => parameter.Surface.HasFlag(ParameterSurface.CommandLine) && (parameter.Side & sides) != 0)
            .Select(Bind)];
    }

    /// <summary>For a command that is no migration: only these.</summary>
    public ParameterOptions(params Parameter[] parameters)
        : this(default, parameters)
    {
    }

    /// <summary>Only these.</summary>
    public ParameterOptions(MigrationSide sides, params Parameter[] parameters)
    {
        _sides = sides;
        _options = [.. parameters.Select(Bind)];
    }

    /// <summary>Adds the options, in the table's order.</summary>
    public void AddTo(IList<Option> options)
    {
        foreach (IBound bound in _options)
        {
            options.Add(bound.Option);
        }
    }

    /// <summary>
    /// Refuses options that mean nothing for the channels of this command line. Null: the address cannot be read, which is reported elsewhere.
    /// </summary>
    public void Check(CommandResult result, MigrationUri? source, MigrationUri? destination)
    {
        foreach (IBound bound in _options)
        {
            if (result.GetResult(bound.Option) is not { Implicit: false })
            {
                continue;
            }

            MigrationSide sides = bound.Parameter.Side & _sides;
            bool isIncoming = sides.HasFlag(MigrationSide.Incoming);

            // What both sides use may be for a destination that is not known yet.
            if (sides is MigrationSide.Both && destination is null)
            {
                continue;
            }

            // Of a relay's two channels each uses what it can.
            if (sides is MigrationSide.Both && destination is not null && bound.Parameter.AppliesTo(destination))
            {
                continue;
            }

            if ((isIncoming ? source : destination) is { } uri && !bound.Parameter.AppliesTo(uri))
            {
                result.AddError($"{bound.Parameter.Option} is for {bound.Parameter.Channels} only; the {(isIncoming ? "source" : "destination")} is {uri}");
            }
        }
    }

    /// <summary>The values of the command line.</summary>
    public ParameterSet Read(ParseResult parsed) => _options.Aggregate(ParameterSet.Defaults, (set, bound) => bound.Read(parsed, set));

    /// <summary>Writes the values in effect as members of a JSON object, in the table's order; without those that mean nothing for these channels.</summary>
    /// <param name="json">Inside the object.</param>
    /// <param name="values">The values.</param>
    /// <param name="source">Where machines come from; null for a file.</param>
    /// <param name="destination">Where machines go; null for a file.</param>
    public void WriteTo(Utf8JsonWriter json, ParameterSet values, MigrationUri? source, MigrationUri? destination)
    {
        foreach (Parameter parameter in _options.Select(bound => bound.Parameter))
        {
            if ((parameter.Side.HasFlag(MigrationSide.Incoming) && source is not null && parameter.AppliesTo(source))
                || (parameter.Side.HasFlag(MigrationSide.Outgoing) && destination is not null && parameter.AppliesTo(destination)))
            {
                json.WritePropertyName(parameter.Name);
                parameter.WriteValue(json, values);
            }
        }
    }

    private static IBound Bind(Parameter parameter) => parameter switch
    {
        Parameter<bool> flag => new Bound<bool>(flag),
        Parameter<int> count => new Bound<int>(count),
        Parameter<ulong> size => new Bound<ulong>(size),
        Parameter<ulong?> size => new Bound<ulong?>(size),
        Parameter<TimeSpan> time => new Bound<TimeSpan>(time),
        Parameter<TimeSpan?> time => new Bound<TimeSpan?>(time),
        Parameter<string> text => new Bound<string>(text),
        Parameter<SwitchoverAck> choice => new Bound<SwitchoverAck>(choice),
        Parameter<IReadOnlyList<AllowedPeers>> peers => new Bound<IReadOnlyList<AllowedPeers>>(peers),
        _ => throw new InvalidOperationException($"parameter {parameter.Name} has a type that no option is made for"),
    };

    /// <summary>A parameter with its option.</summary>
    private interface IBound
    {
        Parameter Parameter { get; }

        Option Option { get; }

        ParameterSet Read(ParseResult parsed, ParameterSet set);
    }

    private sealed class Bound<T>(Parameter<T> parameter) : IBound
    {
        private readonly Option<T> _option = Create(parameter);

        public Parameter Parameter => parameter;

        public Option Option => _option;

        public ParameterSet Read(ParseResult parsed, ParameterSet set) =>
            parsed.GetResult(_option) is { Implicit: false } ? set.With(parameter, parsed.GetValue(_option)!) : set;

        private static Option<T> Create(Parameter<T> parameter)
        {
            // A switch has no value to show; that it is off without being named goes without saying.
            if (parameter.ValueName is not { } valueName)
            {
                return new Option<T>(parameter.Option) { Description = parameter.Help };
            }

            return new Option<T>(parameter.Option)
            {
                Description = $"{parameter.Help} [default: {parameter.DefaultText}]",
                HelpName = valueName,
                Arity = parameter.Kind.TakesMany ? ArgumentArity.OneOrMore : ArgumentArity.ExactlyOne,
                CustomParser = result => Parse(result, parameter),
            };
        }

        private static T? Parse(ArgumentResult result, Parameter<T> parameter)
        {
            T? all = default;
            bool isFirst = true;
            foreach (Token token in result.Tokens)
            {
                if (!parameter.TryParse(token.Value, out T? value, out string? error))
                {
                    return SharedOptions.Refuse<T>(result, $"{parameter.Option}: {error}");
                }

                all = isFirst ? value : parameter.Kind.Join(all!, value);
                isFirst = false;
            }

            return all;
        }
    }
}
