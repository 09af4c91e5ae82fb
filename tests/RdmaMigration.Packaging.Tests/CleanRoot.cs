using System.Globalization;
using RdmaMigration.Testing;

namespace RdmaMigration.Packaging.Tests;

/// <summary>A plain Debian that a test may change: <c>packaging/clean-root</c>. Changes end with this object. It shares /dev/shm with this host.</summary>
internal sealed class CleanRoot : IAsyncDisposable
{
    private static readonly string s_script = Path.Combine(Executables.RepositoryRoot, "packaging", "clean-root");

    private readonly ChildProcess _holder;

    private CleanRoot(ChildProcess holder) => _holder = holder;

    /// <summary>What a command line begins with, to run a program in this root.</summary>
    public string[] Enter =>
    [
        Executables.OnPath("nsenter", "util-linux"),
        "--target", _holder.Id.ToString(CultureInfo.InvariantCulture), "--mount", "--root", "--wd",
        "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
    ];

    /// <summary>Starts from the plain Debian. Without one the test is skipped.</summary>
    public static async Task<CleanRoot> StartAsync()
    {
        string release = File.ReadLines("/etc/os-release").Single(line => line.StartsWith("VERSION_CODENAME=", StringComparison.Ordinal)).Split('=')[1];
        Assert.SkipUnless(
            Directory.Exists(Path.Combine(Executables.RepositoryRoot, ".artifacts", "clean-root", release)),
            "this test needs a plain Debian: run packaging/clean-root make");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can mount a plain Debian: run this test as root");
        TaskCompletionSource ready = new();
        ChildProcess holder = ChildProcess.Start(
            "clean-root", s_script, ["run", "--", "/bin/sh", "-c", "echo ready; exec sleep infinity"], _ => ready.TrySetResult());
        Task ended = holder.WaitForExitAsync(Deadlines.Scale(600));
        if (await Task.WhenAny(ready.Task, ended) == ended)
        {
            await holder.DisposeAsync();
            throw new InvalidOperationException(holder.Errors);
        }

        return new CleanRoot(holder);
    }

    /// <summary>Runs a program to its end.</summary>
    public Task<(int ExitCode, string Output)> RunAsync(params string[] command)
    {
        string[] whole = [.. Enter, .. command];
        return ChildProcess.RunAsync(whole[0], whole[1..]);
    }

    /// <summary>Runs a program, which must succeed.</summary>
    public async Task<string> DoAsync(params string[] command)
    {
        (int exitCode, string output) = await RunAsync(command);
        Assert.True(exitCode == 0, $"{string.Join(' ', command)}: exit code {exitCode}\n{output}");
        return output;
    }

    public ValueTask DisposeAsync() => _holder.DisposeAsync();
}
