using Spectre.Console;

namespace RdmaMigration.Cli.Remote;

/// <summary>A picture on the terminal that each sample replaces. The last one stays. The key q ends it.</summary>
internal sealed class TopTerminal(Screen screen, CancellationTokenSource quit) : ITopView
{
    private const string ShowCursor = "\x1b[?25h";

    private readonly IAnsiConsole _console = screen.OpenConsole();

    public Task ShowAsync(string title, Func<Action<TopHistory>, Task> sample)
    {
        if (!Console.IsInputRedirected)
        {
            new Thread(ReadKeys) { Name = "keys", IsBackground = true }.Start();
        }

        return _console.Live(new Text("")).StartAsync(live => sample(history => live.UpdateTarget(Picture(title, history))));
    }

    public void Abandon() => screen.Out.Write(ShowCursor);

    private static Grid Picture(string title, TopHistory history)
    {
        Grid grid = new();
        grid.AddColumn(new GridColumn { NoWrap = true });
        grid.AddColumn();
        Style label = TextTable.StyleOf(Tone.Dim);
        grid.AddRow(new Text("rdmamig top", new Style(decoration: Decoration.Bold)), new Text($"{title}    q quits"));
        foreach ((string name, string text, Tone tone) in TopText.Rows(history))
        {
            grid.AddRow(new Text(name, label), new Text(text, TextTable.StyleOf(tone)));
        }

        return grid;
    }

    private void ReadKeys()
    {
        while (Console.ReadKey(intercept: true).KeyChar is not 'q')
        {
        }

        quit.Cancel();
    }
}
