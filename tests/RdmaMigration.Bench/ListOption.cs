using System.CommandLine;
using System.Globalization;

namespace RdmaMigration.Bench;

/// <summary>An option whose value is a list with commas.</summary>
/// <param name="Option">The option itself.</param>
/// <param name="Standard">Its value when it is not given.</param>
internal sealed record ListOption<T>(Option<T[]> Option, IReadOnlyList<T> Standard)
{
    public IReadOnlyList<T> ValueIn(ParseResult parsed) => parsed.GetResult(Option) is null ? Standard : parsed.GetValue(Option)!;
}

/// <summary>Makes options whose value is a list.</summary>
internal static class ListOption
{
    /// <summary>Whole numbers between two bounds.</summary>
    public static ListOption<int> OfNumbers(string name, string description, IReadOnlyList<int> standard, int least, int most) => Create(
        name,
        description,
        standard,
        number => number.ToString(CultureInfo.InvariantCulture),
        text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most ? [number] : [],
        Report.Text($"want whole numbers from {least} to {most}"));

    /// <summary>Some of a few things that have names; all of them by default.</summary>
    public static ListOption<T> OfNames<T>(string name, string description, IReadOnlyList<T> all, Func<T, string> nameOf) => Create(
        name, description, all, nameOf, text => [.. all.Where(item => nameOf(item) == text)], $"want some of {string.Join(',', all.Select(nameOf))}");

    private static ListOption<T> Create<T>(
        string name, string description, IReadOnlyList<T> standard, Func<T, string> write, Func<string, T[]> parse, string wanted)
    {
        Option<T[]> option = new(name)
        {
            Description = $"{description} [default: {string.Join(',', standard.Select(write))}]",
            HelpName = "LIST",
            CustomParser = result =>
            {
                string[] items = result.Tokens[0].Value.Split(',');
                T[][] parsed = [.. items.Select(parse)];
                int wrong = Array.FindIndex(parsed, item => item.Length == 0);
                if (wrong >= 0)
                {
                    result.AddError($"{name}: '{items[wrong]}': {wanted}");
                }

                return [.. parsed.SelectMany(item => item)];
            },
        };
        return new ListOption<T>(option, standard);
    }
}
