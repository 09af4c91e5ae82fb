using System.Diagnostics;
using System.Net.Sockets;

namespace RdmaMigration.Testing;

/// <summary>Five clients of a monitor: four ask query-migrate every two milliseconds, and one never reads.</summary>
public sealed class FiveClients : IDisposable
{
    /// <summary>How many there are.</summary>
    public const int Count = 5;

    private const int Attempts = 3;

    private readonly Socket _silent;
    private readonly AskingClient[] _asking;

    /// <summary>Connects all to one monitor.</summary>
    public FiveClients(string socket)
        : this([.. Enumerable.Repeat(socket, Count)])
    {
    }

    /// <summary>Connects each to a socket of its own, as a QEMU has them.</summary>
    public FiveClients(IReadOnlyList<string> sockets)
    {
        _silent = AskingClient.Connect(sockets[0]);
        _silent.Send("""{"execute": "qmp_capabilities"}"""u8);
        _asking = [.. sockets.Skip(1).Select(socket => new AskingClient(socket))];
    }

    /// <summary>Events that each client has read.</summary>
    public int Events => _asking[0].Events;

    /// <summary>Sockets for the monitors of a QEMU.</summary>
    public static string[] Sockets(WorkDirectory work) => [.. Enumerable.Range(1, Count).Select(number => work.File($"qmp{number}"))];

    /// <summary>
    /// Measures a stall, and again from its beginning if answers are late, three times at most: other programs of the host can make answers late for a
    /// while. A monitor that the stall blocks is late each time.
    /// </summary>
    /// <param name="stall">Has a new source stall; the answers at each place.</param>
    /// <param name="bound">99 of 100 answers come within it.</param>
    /// <param name="onLate">Gets the answers of a stall that is measured again.</param>
    /// <returns>The last stall's answers.</returns>
    public static async Task<AnswerTimes[]> MeasureAsync(Func<Task<AnswerTimes[]>> stall, TimeSpan bound, Action<string> onLate)
    {
        for (int attempt = 1; ; attempt++)
        {
            AnswerTimes[] answers = await stall();
            if (attempt == Attempts || Array.TrueForAll(answers, times => times.P99 <= bound))
            {
                return answers;
            }

            onLate($"late, measured again: {string.Join("; ", answers.Select(times => times.ToString()))}");
        }
    }

    /// <summary>Asks for a time.</summary>
    /// <exception cref="InvalidOperationException">No migration is active.</exception>
    public Task<AnswerTimes> AskAsync(TimeSpan time)
    {
        long begun = Stopwatch.GetTimestamp();
        return AskUntilAsync(reply => AskingClient.IsActive(reply) && Stopwatch.GetElapsedTime(begun) >= time);
    }

    /// <summary>Asks until it is over for each client.</summary>
    /// <param name="isOver">Told of each reply to query-migrate.</param>
    /// <exception cref="InvalidOperationException">It is not over, and no migration is active.</exception>
    public async Task<AnswerTimes> AskUntilAsync(Func<string, bool> isOver)
    {
        List<TimeSpan>[] answers = await Task.WhenAll(_asking.Select(client => client.AskUntilAsync(isOver)));
        return new AnswerTimes(answers.SelectMany(times => times));
    }

    public void Dispose()
    {
        _silent.Dispose();
        foreach (AskingClient client in _asking)
        {
            client.Dispose();
        }
    }
}
