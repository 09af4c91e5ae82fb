namespace RdmaMigration.Cli.Remote;

/// <summary>One line on stdout for each sample.</summary>
internal sealed class TopLines(Screen screen) : ITopView
{
    public Task ShowAsync(string title, Func<Action<TopHistory>, Task> sample) => sample(history =>
    {
        screen.Out.WriteLine(TopText.Line(history));
        screen.Out.Flush();
    });

    public void Abandon()
    {
    }
}
