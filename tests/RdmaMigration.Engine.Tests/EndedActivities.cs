using System.Diagnostics;
using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Engine.Tests;

/// <summary>The activities of migrations that ended since this was made.</summary>
internal sealed class EndedActivities : IDisposable
{
    private readonly List<Activity> _ended = [];
    private readonly ActivityListener _listener;

    public EndedActivities()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "RdmaMigration.Engine",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (_ended)
                {
                    _ended.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    /// <summary>The last activity of a thread. Waits until one has ended: a migration may be over for its process a moment before its thread is.</summary>
    public Activity Last(string thread)
    {
        Activity? last = null;
        SpinWait.SpinUntil(() => (last = Find(thread)) is not null, Deadlines.Answer);
        return last ?? throw new TimeoutException($"no activity of {thread} has ended");
    }

    /// <summary>The arguments of a thread's last event of a name, each as NAME=VALUE.</summary>
    public string[] Arguments(string thread, string name) =>
        [.. Last(thread).Events.Last(e => e.Name == name).Tags.Select(tag => string.Create(CultureInfo.InvariantCulture, $"{tag.Key}={tag.Value}"))];

    public void Dispose() => _listener.Dispose();

    private Activity? Find(string thread)
    {
        lock (_ended)
        {
            return _ended.FindLast(activity => activity.OperationName == thread);
        }
    }
}
