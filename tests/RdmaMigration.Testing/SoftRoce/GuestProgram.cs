using System.Text.Json;

namespace RdmaMigration.Testing;

/// <summary>A program that runs in a <see cref="GuestHost"/>.</summary>
/// <param name="host">Where it runs.</param>
/// <param name="name">Its name in the guest's shell.</param>
public sealed class GuestProgram(GuestHost host, string name)
{
    private readonly TaskCompletionSource<int> _exit = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Its events, of QMP or of `rdmamig --json`.</summary>
    public EventLog<QmpEvent> Events { get; } = new();

    /// <summary>Its answers to QMP commands.</summary>
    public EventLog<JsonElement> Answers { get; } = new();

    /// <summary>Its other lines, of both streams.</summary>
    public EventLog<string> Lines { get; } = new();

    public bool HasEnded => _exit.Task.IsCompleted;

    /// <summary>What it wrote beside events and answers.</summary>
    public string Text => string.Join('\n', Lines.Snapshot());

    /// <summary>Waits for its end.</summary>
    /// <exception cref="TimeoutException">It still runs.</exception>
    public async Task<int> ExitAsync(TimeSpan limit)
    {
        try
        {
            return await _exit.Task.WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"{name} on host {host.Letter} still runs after {limit.TotalSeconds:0.#} s\n{Text}");
        }
    }

    /// <summary>Writes a line to its standard input.</summary>
    public Task WriteAsync(string line) => host.RequestAsync($"write {name} {line}");

    /// <summary>Sends a signal to a program that was started with exec.</summary>
    /// <param name="signal">Its name without SIG.</param>
    public Task SignalAsync(string signal) => host.RequestAsync($"signal {name} {signal}");

    /// <summary>Sends SIGKILL and waits until it is gone. For a program that was started with exec.</summary>
    public async Task KillAsync()
    {
        if (!HasEnded)
        {
            await SignalAsync("KILL");
            await ExitAsync(Deadlines.Answer);
        }
    }

    internal void OnLine(string line)
    {
        if (!line.StartsWith('{') || !TryAddMessage(line))
        {
            Lines.Add(line);
        }
    }

    internal void OnEnd(int code, string why)
    {
        Events.End($"{why}\n{Text}");
        Answers.End($"{why}\n{Text}");
        Lines.End(why);
        _exit.TrySetResult(code);
    }

    /// <summary>Both streams arrive in one, so a line can be one that another line interrupted.</summary>
    private bool TryAddMessage(string line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement message = document.RootElement;
            if (message.TryGetProperty("event", out _))
            {
                Events.Add(QmpEvent.Parse(message));
            }
            else if (!message.TryGetProperty("QMP", out _))
            {
                Answers.Add(message.Clone());
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
