using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace RdmaMigration.Bench;

/// <summary>How figures reach people and programs: a plain table, and a JSON file of the same.</summary>
internal static class Report
{
    /// <summary>The form of every JSON file that this program writes and reads.</summary>
    public static JsonSerializerOptions Layout { get; } = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.KebabCaseLower,

        // The ratio to a migration that never ends.
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    public static void Say(string line) => Console.WriteLine(line);

    /// <summary>A number is written the same way everywhere.</summary>
    public static string Text(FormattableString text) => FormattableString.Invariant(text);

    /// <summary>A migration in a few words.</summary>
    public static string Short(Passage passage) => Text($"{passage.TotalMilliseconds:0} ms, {passage.Rate:0.0} MiB/s");

    public static void Table(string title, string[] columns, IEnumerable<string[]> rows)
    {
        Table table = new Table().Border(TableBorder.Simple).Title(Markup.Escape(title));
        foreach (string column in columns)
        {
            table.AddColumn(new TableColumn(Markup.Escape(column)) { NoWrap = true });
        }

        foreach (string[] row in rows)
        {
            table.AddRow(row.Select(Markup.Escape).ToArray());
        }

        Wide().Write(table);
    }

    public static async Task WriteJsonAsync<T>(FileInfo? file, T figures)
    {
        if (file is not null)
        {
            file.Directory!.Create();
            await File.WriteAllBytesAsync(file.FullName, JsonSerializer.SerializeToUtf8Bytes(figures, Layout));
            Console.WriteLine($"figures: {file.FullName}");
        }
    }

    // The guest's output is a file, which has no width: a table must not wrap there.
    private static IAnsiConsole Wide()
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.Detect });
        console.Profile.Width = Math.Max(console.Profile.Width, 150);
        return console;
    }
}
