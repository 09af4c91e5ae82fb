using System.CommandLine;

namespace RdmaMigration.Manual;

/// <summary>What the command tree says about options and arguments.</summary>
internal static class CommandTree
{
    private static readonly string[] s_ends = [". ", " [default"];

    /// <summary>The options of a command, then those that it inherits.</summary>
    public static IEnumerable<Option> OptionsOf(Command command) =>
        command.Options.Concat(command.Parents.OfType<Command>().SelectMany(parent => parent.Options).Where(option => option.Recursive))
            .Where(option => !option.Hidden);

    /// <summary>All names, short ones first. Names with a slash are for Windows.</summary>
    public static IReadOnlyList<string> NamesOf(Option option) =>
        [.. option.Aliases.Where(alias => alias.StartsWith('-')).Order(StringComparer.Ordinal), option.Name];

    /// <summary>The names that a shell completes. <c>-?</c> is left out: shells read it as a pattern.</summary>
    public static IReadOnlyList<string> CompletedNamesOf(Option option) => [.. NamesOf(option).Where(name => !name.Contains('?'))];

    /// <summary>The name of the option's value; null for a switch.</summary>
    public static string? ValueOf(Option option) =>
        option.Arity.MaximumNumberOfValues == 0 || option.ValueType == typeof(bool) ? null : option.HelpName ?? option.Name.TrimStart('-').ToUpperInvariant();

    /// <summary>The whole description. Most descriptions state the default themselves.</summary>
    public static string DescriptionOf(Option option)
    {
        string description = option.Description ?? "";
        return ValueOf(option) is not null && option.HasDefaultValue ? $"{description} [default: {option.GetDefaultValue()}]" : description;
    }

    /// <summary>The first sentence of a description, for places with room for one line.</summary>
    public static string SummaryOf(Symbol symbol)
    {
        string description = symbol.Description ?? "";
        return description.Split(s_ends, 2, StringSplitOptions.None)[0].TrimEnd('.');
    }
}
