using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace RdmaMigration.Testing;

/// <summary>
/// A program that a test started. It ends with its owner: on dispose, and for all that are left when the test program exits.
/// Its error stream is kept for messages.
/// </summary>
public sealed class ChildProcess : IAsyncDisposable
{
    private const int KeptLines = 200;
    private static readonly ConcurrentDictionary<ChildProcess, byte> s_living = new();
    private readonly Process _process;
    private readonly Queue<string> _errors = new();
    private readonly Task _reader;
    private readonly Task<int> _exit;

    static ChildProcess() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        foreach (ChildProcess child in s_living.Keys)
        {
            child.KillNow();
        }
    };

    private ChildProcess(string name, Process process, Action<string>? onOutput, Action<string>? onError)
    {
        Name = name;
        _process = process;
        _exit = ExitAsync(process);
        _reader = Task.WhenAll(
            Task.Run(() => ReadAsync(process.StandardOutput, onOutput ?? Remember)),
            Task.Run(() => ReadAsync(process.StandardError, line =>
            {
                Remember(line);
                onError?.Invoke(line);
            })));
    }

    public string Name { get; }

    public int Id => _process.Id;

    /// <summary>The last lines of its error stream, and of its output when nobody else reads that.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return string.Join('\n', _errors);
            }
        }
    }

    /// <summary>Starts <paramref name="file"/>.</summary>
    /// <param name="name">How messages call it.</param>
    /// <param name="file">A path, or a name on PATH.</param>
    /// <param name="arguments">One string an argument; no shell is involved.</param>
    /// <param name="onOutput">Gets every line of its standard output, on a pool thread, in order.</param>
    /// <param name="onError">Gets every line of its standard error likewise.</param>
    /// <param name="workingDirectory">Where it runs; null: where the test runs.</param>
    /// <param name="takesInput">Its standard input stays open for <see cref="WriteLineAsync"/>; otherwise it is empty.</param>
    public static ChildProcess Start(
        string name, string file, IEnumerable<string> arguments, Action<string>? onOutput = null, Action<string>? onError = null,
        string? workingDirectory = null, bool takesInput = false)
    {
        ProcessStartInfo start = new(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
            WorkingDirectory = workingDirectory ?? "",
        };
        Process process = Process.Start(start) ?? throw new InvalidOperationException($"{file} did not start");
        if (!takesInput)
        {
            process.StandardInput.Close();
        }

        ChildProcess child = new(name, process, onOutput, onError);
        s_living.TryAdd(child, 0);
        return child;
    }

    /// <summary>Runs a program to its end; its exit code and all that it printed.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(string file, params string[] arguments)
    {
        StringBuilder output = new();
        void Append(string line)
        {
            lock (output)
            {
                output.Append(line).Append('\n');
            }
        }

        await using ChildProcess child = Start(Path.GetFileName(file), file, arguments, Append, Append);
        int exitCode = await child.WaitForExitAsync(Deadlines.Migration);
        return (exitCode, output.ToString());
    }

    /// <summary>Writes a line to its standard input.</summary>
    public async Task WriteLineAsync(string line)
    {
        await _process.StandardInput.WriteLineAsync(line);
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Sends SIGKILL, and nothing else happens before: the process cannot clean up. One that has exited is let be.</summary>
    public void KillNow() => _process.Kill();

    /// <summary>Sends a signal.</summary>
    /// <param name="signal">Its name without SIG.</param>
    public async Task SignalAsync(string signal) =>
        await RunAsync(Executables.OnPath("kill", "procps"), "-s", signal, Id.ToString(CultureInfo.InvariantCulture));

    /// <summary>Waits until it is gone and its output is read to the end.</summary>
    /// <exception cref="TimeoutException">It still runs.</exception>
    public async Task<int> WaitForExitAsync(TimeSpan deadline)
    {
        using CancellationTokenSource timeout = new(deadline);
        try
        {
            await _reader.WaitAsync(timeout.Token);
            return await _exit.WaitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{Name} (pid {Id}) still runs after {deadline.TotalSeconds:0.#} s\n{Errors}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (s_living.TryRemove(this, out _))
        {
            KillNow();
            await WaitForExitAsync(Deadlines.Answer);

            // Disposing the process leaves open the streams that were asked for; a test that counts descriptors would find them until they are collected.
            _process.StandardInput.BaseStream.Dispose();
            _process.Dispose();
        }
    }

    /// <summary>The one reader of the exit code: a <see cref="Process"/> that several threads ask says for a moment that it has exited, and 0.</summary>
    private static async Task<int> ExitAsync(Process process)
    {
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private static async Task ReadAsync(StreamReader reader, Action<string> onLine)
    {
        using (reader)
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                onLine(line);
            }
        }
    }

    private void Remember(string line)
    {
        lock (_errors)
        {
            if (_errors.Count == KeptLines)
            {
                _errors.Dequeue();
            }

            _errors.Enqueue(line);
        }
    }
}
