using System.Diagnostics;
using RdmaMigration.Testing;
using Tmds.Linux;

namespace RdmaMigration.SoftRoce.Tests;

/// <summary>One run of docker/softroce/softroce. Disposing kills it.</summary>
internal sealed class Rig : IDisposable
{
    /// <summary>Bounds every wait: a guest that boots under emulation on a busy machine takes a minute.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    private readonly Process _process;
    private readonly CancellationTokenSource _deadline = new(s_patience);
    private readonly Task<string> _error;

    private Rig(Process process)
    {
        _process = process;
        _error = process.StandardError.ReadToEndAsync(_deadline.Token);
    }

    public static string Repository => Executables.RepositoryRoot;

    public StreamWriter Input => _process.StandardInput;

    public Stream RawOutput => _process.StandardOutput.BaseStream;

    public CancellationToken Deadline => _deadline.Token;

    /// <summary>Starts a guest even where the host has an RDMA device.</summary>
    public static Rig Run(params string[] arguments) => RunIn(Repository, arguments);

    /// <summary>As <see cref="Run"/>, with a folder that the guest then sees, too.</summary>
    public static Rig RunIn(string folder, params string[] arguments) => StartIn(folder, ["run", "--guest", .. arguments]);

    public static Rig Start(params string[] arguments) => StartIn(Repository, arguments);

    public static async Task<(int Code, string Output, string Error)> RunToEnd(params string[] arguments)
    {
        using Rig rig = Run(arguments);
        return await rig.End();
    }

    public async Task<string> Line() =>
        await _process.StandardOutput.ReadLineAsync(_deadline.Token) ?? throw new EndOfStreamException("the rig ended; it said: " + await _error);

    public async Task LineUntil(Func<string, bool> condition)
    {
        while (!condition(await Line()))
        {
        }
    }

    public async Task<(int Code, string Output, string Error)> End()
    {
        string output = await _process.StandardOutput.ReadToEndAsync(_deadline.Token);
        return (await ExitCode(), output, await _error);
    }

    public async Task<int> ExitCode()
    {
        await _process.WaitForExitAsync(_deadline.Token);
        return _process.ExitCode;
    }

    public void Signal(int signal) => Assert.Equal(0, LibC.kill(_process.Id, signal));

    /// <summary>The processes that the rig has started, and theirs.</summary>
    public IReadOnlyList<Process> Descendants()
    {
        Dictionary<int, int> parents = new();
        foreach (Process process in Process.GetProcesses())
        {
            if (ParentOf(process.Id) is int parent)
            {
                parents[process.Id] = parent;
            }
        }

        bool IsBelow(int id) => parents.TryGetValue(id, out int parent) && (parent == _process.Id || IsBelow(parent));
        return [.. parents.Keys.Where(IsBelow).Select(Process.GetProcessById)];
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
        _deadline.Dispose();
    }

    private static Rig StartIn(string folder, string[] arguments)
    {
        // A suite that runs in the background ignores SIGINT, and so would the rig.
        ProcessStartInfo start = new("env", ["--default-signal=INT", Path.Combine(Repository, "docker/softroce/softroce"), .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return new Rig(Process.Start(start)!);
    }

    private static int? ParentOf(int id)
    {
        try
        {
            // pid (name) state parent ...; the name may hold anything.
            string stat = File.ReadAllText($"/proc/{id}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null; // it has ended since it was listed
        }
    }
}
