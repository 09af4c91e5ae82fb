using System.Collections.Concurrent;
using System.Globalization;
using Tmds.Linux;

namespace RdmaMigration.Testing;

/// <summary>A soft-RoCE guest on a wire, with a shell that runs what a test says. Disposing ends the guest.</summary>
public sealed class GuestHost : IAsyncDisposable
{
    /// <summary>rdmamig in the guest.</summary>
    public const string Rdmamig = "/dev/shm/rdmamig";

    private readonly ConcurrentDictionary<string, GuestProgram> _programs = new();
    private readonly SemaphoreSlim _oneRequest = new(1);
    private readonly SoftRoceWire _wire;
    private readonly ChildProcess _process;
    private int _started;

    private GuestHost(SoftRoceWire wire, string letter, int mebibytes)
    {
        _wire = wire;
        Letter = letter;
        string[] command =
        [
            .. wire.Run(letter, "--memory", mebibytes.ToString(CultureInfo.InvariantCulture), "--stdin"),
            "bash", Path.Combine(AppContext.BaseDirectory, "guest-shell"), Executables.Rdmamig,
        ];
        _process = ChildProcess.Start($"host {letter}", command[0], command[1..], OnLine, takesInput: true);
        _ = _process.WaitForExitAsync(TimeSpan.FromDays(1)).ContinueWith(
            _ => EndAll(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    /// <summary>Which host of the wire it is, a or b.</summary>
    public string Letter { get; }

    /// <summary>Boots a host. It comes up only when it reaches the other host of the wire.</summary>
    /// <param name="wire">The wire.</param>
    /// <param name="letter">Which host of the wire it is.</param>
    /// <param name="mebibytes">The guest's memory.</param>
    public static async Task<GuestHost> BootAsync(SoftRoceWire wire, string letter, int mebibytes)
    {
        GuestHost host = new(wire, letter, mebibytes);
        try
        {
            GuestProgram first = await host.StartAsync("true");
            return await first.ExitAsync(Deadlines.Scale(240)) == 0
                ? host
                : throw new InvalidOperationException($"host {letter} did not come up\n{host._process.Errors}");
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a shell command, which is one line. Begin it with exec if it is to be killed.</summary>
    public async Task<GuestProgram> StartAsync(string command)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"p{Interlocked.Increment(ref _started)}");
        GuestProgram program = new(this, name);
        _programs[name] = program;
        await RequestAsync($"start {name} {command}");
        return program;
    }

    /// <summary>Runs a shell command to its end, and returns what it wrote.</summary>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public async Task<string> RunAsync(string command)
    {
        GuestProgram program = await StartAsync(command);
        int code = await program.ExitAsync(Deadlines.Migration);
        return code == 0 ? program.Text : throw new InvalidOperationException($"host {Letter}: '{command}' ended with {code}: {program.Text}");
    }

    /// <summary>Freezes the guest as a whole, or lets it go on.</summary>
    public void Freeze(bool frozen)
    {
        if (LibC.kill(GuestProcess(), frozen ? LibC.SIGSTOP : LibC.SIGCONT) != 0)
        {
            throw new InvalidOperationException($"host {Letter} cannot be signalled");
        }
    }

    /// <summary>Kills the guest as a whole, as a host that loses its power.</summary>
    public async Task KillAsync()
    {
        if (LibC.kill(GuestProcess(), LibC.SIGKILL) != 0)
        {
            throw new InvalidOperationException($"host {Letter} cannot be killed");
        }

        await _process.WaitForExitAsync(Deadlines.Answer);
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        EndAll();
        _oneRequest.Dispose();
    }

    internal async Task RequestAsync(string line)
    {
        await _oneRequest.WaitAsync();
        try
        {
            await _process.WriteLineAsync(line);
        }
        finally
        {
            _oneRequest.Release();
        }
    }

    /// <summary>softroce names its QEMU after wire and host.</summary>
    private int GuestProcess()
    {
        string name = $"softroce-{_wire.Name}-{Letter}";
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out int id) && ArgumentsOf(folder) is [_, "-name", string found, ..]
                && found == name)
            {
                return id;
            }
        }

        throw new InvalidOperationException($"no process {name}");
    }

    /// <summary>Empty for a process that has ended meanwhile.</summary>
    private static string[] ArgumentsOf(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline")).Split('\0');
        }
        catch (IOException)
        {
            return [];
        }
    }

    private void OnLine(string line)
    {
        int end = line.AsSpan().IndexOfAny(':', '=');
        if (end < 0 || !_programs.TryGetValue(line[..end], out GuestProgram? program))
        {
            return;
        }

        string text = line[(end + 1)..];
        if (line[end] == ':')
        {
            program.OnLine(text);
        }
        else
        {
            program.OnEnd(int.Parse(text, CultureInfo.InvariantCulture), $"ended with {text}");
        }
    }

    private void EndAll()
    {
        foreach (GuestProgram program in _programs.Values)
        {
            program.OnEnd(-1, $"host {Letter} has ended\n{_process.Errors}");
        }
    }
}
