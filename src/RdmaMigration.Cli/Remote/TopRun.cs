using System.Diagnostics;

namespace RdmaMigration.Cli.Remote;

/// <summary>Samples a monitor and shows it. It changes nothing in the process.</summary>
/// <param name="monitor">The monitor.</param>
/// <param name="view">Shows the samples.</param>
/// <param name="interval">Between two samples; null for one sample.</param>
internal sealed class TopRun(MonitorSession monitor, ITopView view, TimeSpan? interval)
{
    private readonly TopHistory _history = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    /// <summary>Runs until <paramref name="quit"/>, or to the one sample.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="quit"/> was cancelled.</exception>
    public async Task RunAsync(CancellationToken quit)
    {
        string name = await monitor.NameAsync(quit).ConfigureAwait(false);
        string title = $"{monitor.Path}  {monitor.Version}{(name.Length > 0 ? $"  {name}" : "")}";
        await view.ShowAsync(title, async show =>
        {
            using PeriodicTimer timer = new(interval ?? Timeout.InfiniteTimeSpan);
            do
            {
                MigrationQuery migration = await monitor.QueryAsync(quit).ConfigureAwait(false);
                _history.Add(new TopSample(_clock.Elapsed, await monitor.RunStateAsync(quit).ConfigureAwait(false), migration));
                show(_history);
            }
            while (interval is not null && await timer.WaitForNextTickAsync(quit).ConfigureAwait(false));
        }).ConfigureAwait(false);
    }
}
