using Spectre.Console;

namespace RdmaMigration.Cli;

/// <summary>What a cell says beyond its text; shown as a colour on a terminal.</summary>
internal enum Tone
{
    Plain,
    Good,
    Caution,
    Bad,
    Action,
    Dim,
}

/// <summary>One cell of a <see cref="TextTable"/>.</summary>
internal readonly record struct Cell(string Text, Tone Tone = Tone.Plain)
{
    public static implicit operator Cell(string text) => new(text);
}

/// <summary>Rows in columns: with colour and wrapping on a terminal, with spaces alone in a file or a pipe.</summary>
internal sealed class TextTable
{
    private const int Gap = 2;

    private readonly bool[] _right;
    private readonly string[]? _headers;
    private readonly List<Cell[]> _rows = [];

    /// <summary>A table without headers, all of it to the left.</summary>
    public TextTable(int columns) => _right = new bool[columns];

    /// <summary>A table with headers; one that begins with '>' has its column to the right.</summary>
    public TextTable(params string[] headers)
    {
        _right = [.. headers.Select(header => header.StartsWith('>'))];
        _headers = [.. headers.Select(header => header.TrimStart('>'))];
    }

    public void Add(params Cell[] cells) => _rows.Add(cells);

    public void Write(Screen screen)
    {
        if (screen.OutputIsTerminal)
        {
            WriteToTerminal(screen.OpenConsole());
        }
        else
        {
            WritePlain(screen.Out);
        }
    }

    /// <summary>The style of a tone on a terminal.</summary>
    public static Style StyleOf(Tone tone) => tone switch
    {
        Tone.Good => new Style(Color.Green),
        Tone.Caution => new Style(Color.Yellow),
        Tone.Bad => new Style(Color.Red),
        Tone.Action => new Style(Color.Aqua),
        Tone.Dim => new Style(decoration: Decoration.Dim),
        _ => Style.Plain,
    };

    private void WriteToTerminal(IAnsiConsole console)
    {
        Table table = new() { Border = TableBorder.None, ShowHeaders = _headers is not null };
        for (int column = 0; column < _right.Length; column++)
        {
            bool last = column == _right.Length - 1;
            table.AddColumn(new TableColumn(new Text(_headers?[column] ?? "", new Style(decoration: Decoration.Bold)))
            {
                Alignment = _right[column] ? Justify.Right : Justify.Left,
                NoWrap = !last,
                Padding = new Padding(0, 0, last ? 0 : Gap, 0),
            });
        }

        foreach (Cell[] row in _rows)
        {
            table.AddRow(row.Select(cell => new Text(cell.Text, StyleOf(cell.Tone))));
        }

        console.Write(table);
    }

    private void WritePlain(TextWriter output)
    {
        int[] widths = new int[_right.Length];
        List<Cell[]> all = _headers is null ? _rows : [_headers.Select(header => new Cell(header)).ToArray(), .. _rows];
        foreach (Cell[] row in all)
        {
            for (int column = 0; column < widths.Length; column++)
            {
                widths[column] = Math.Max(widths[column], row[column].Text.Length);
            }
        }

        foreach (Cell[] row in all)
        {
            IEnumerable<string> cells = row.Select((cell, column) => _right[column] ? cell.Text.PadLeft(widths[column]) : cell.Text.PadRight(widths[column]));
            output.WriteLine(string.Join(new string(' ', Gap), cells).TrimEnd());
        }
    }
}
