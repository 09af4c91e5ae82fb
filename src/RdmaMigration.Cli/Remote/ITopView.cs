namespace RdmaMigration.Cli.Remote;

/// <summary>Shows the samples of a monitor in one of three forms.</summary>
internal interface ITopView
{
    /// <summary>Shows samples until <paramref name="sample"/> returns.</summary>
    /// <param name="title">The process: socket, version, machine.</param>
    /// <param name="sample">Takes samples and calls its argument after each.</param>
    Task ShowAsync(string title, Func<Action<TopHistory>, Task> sample);

    /// <summary>The process is about to be killed: leave the terminal as it was. Any thread.</summary>
    void Abandon();
}
