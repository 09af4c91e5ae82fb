using System.Text.Json;
using Spectre.Console;

namespace RdmaMigration.Interop.Bench;

/// <summary>How figures reach people and programs: a plain table, and a JSON file of the same.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.KebabCaseLower };

    public static void Say(string line) => Console.WriteLine(line);

    public static void Table(string title, string[] columns, IEnumerable<string[]> rows)
    {
        var table = new Table().Border(TableBorder.Simple).Title(Markup.Escape(title));
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
            await File.WriteAllBytesAsync(file.FullName, JsonSerializer.SerializeToUtf8Bytes(figures, Layout));
            Console.WriteLine($"figures: {file.FullName}");
        }
    }

    // The guest's output is a file, which has no width: a table must not wrap there.
    private static IAnsiConsole Wide()
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.Detect });
        console.Profile.Width = Math.Max(console.Profile.Width, 120);
        return console;
    }
}
