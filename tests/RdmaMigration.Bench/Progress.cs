using System.Diagnostics;

namespace RdmaMigration.Bench;

/// <summary>One line a step on stderr: which of how many runs, what came of it, how long the rest will take.</summary>
/// <param name="steps">How many steps there will be.</param>
internal sealed class Progress(int steps)
{
    private readonly long _begin = Stopwatch.GetTimestamp();
    private readonly int _digits = Report.Text($"{steps}").Length;
    private int _done;

    /// <summary>Runs a step and shows it.</summary>
    /// <param name="what">What runs.</param>
    /// <param name="step">Measures it.</param>
    /// <param name="outcome">What came of it, in a few words.</param>
    public async Task<T> StepAsync<T>(string what, Func<Task<T>> step, Func<T, string> outcome)
    {
        Console.Error.Write($"[{Report.Text($"{_done + 1}").PadLeft(_digits)}/{steps}] {what}: ");
        T result = await step();
        _done++;
        Console.Error.WriteLine($"{outcome(result)}{Remaining()}");
        return result;
    }

    private string Remaining()
    {
        if (_done == steps)
        {
            return "";
        }

        TimeSpan left = Stopwatch.GetElapsedTime(_begin) / _done * (steps - _done);
        return left < TimeSpan.FromSeconds(90)
            ? Report.Text($" (about {left.TotalSeconds:0} s left)")
            : Report.Text($" (about {left.TotalMinutes:0} min left)");
    }
}
