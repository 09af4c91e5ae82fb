using System.Net.Sockets;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop.Tests;

/// <summary>
/// The published binary where the environment gives it less than usual: a chroot without /proc and /dev, a small file size limit, a cgroup's limit, a closed
/// terminal.
/// </summary>
public sealed class EnvironmentTests : IDisposable
{
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(30);
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("rdmamig-environment-");

    private string Root => _directory.FullName;

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task In_a_chroot_with_nothing_but_itself_and_libc_it_captures_and_sends()
    {
        _ = await LayOutRootAsync();
        File.WriteAllBytes(Path.Combine(Root, "vm"), StreamBuilder.SmallMachine());

        Assert.Contains("receive", await InChrootAsync(0, "--help"), StringComparison.Ordinal);
        _ = await InChrootAsync(0, "receive file:/vm --to /capture");
        _ = await InChrootAsync(0, "send /capture file:/copy");
        _ = await InChrootAsync(0, "inspect /copy");
    }

    [Fact]
    public async Task In_a_chroot_without_the_verbs_libraries_it_says_what_is_missing()
    {
        _ = await LayOutRootAsync();

        Assert.Contains("libibverbs", await InChrootAsync(3, "doctor"), StringComparison.Ordinal);
        Assert.Contains("libibverbs", await InChrootAsync(3, "receive rdma::4444 --to /capture"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_size_limit_below_the_RAM_is_an_error_before_anything_is_written()
    {
        File.WriteAllBytes(Path.Combine(Root, "vm"), StreamBuilder.SmallMachine());

        string words = await RunAsync(1, $"ulimit -f 1; {Executables.Rdmamig} receive file:{Root}/vm --to {Root}/capture --json");

        Assert.Contains("\"memory\"", words, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(["vm"], Directory.GetFiles(Root).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Output_beyond_the_file_size_limit_is_an_error_and_not_the_end_by_a_signal()
    {
        File.WriteAllBytes(Path.Combine(Root, "vm"), StreamBuilder.SmallMachine());

        _ = await RunAsync(3, $"ulimit -f 0; {Executables.Rdmamig} inspect {Root}/vm > {Root}/output");
    }

    [Fact]
    public async Task SIGHUP_cancels_a_migration_in_order_also_when_it_comes_twice()
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"unix:{Root}/socket", $"{Root}/");
        using Socket source = await ConnectAsync();

        await receiver.SignalAsync("HUP");
        await receiver.SignalAsync("HUP");

        Assert.Equal(130, await receiver.Process.WaitForExitAsync(s_soon));
        Assert.Empty(Directory.GetFiles(Root));
    }

    [Fact]
    public async Task SIGHUP_that_was_ignored_at_start_stays_ignored()
    {
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync(
            $"unix:{Root}/socket", $"{Root}/capture", wrapper: ["/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]);

        await receiver.SignalAsync("HUP");

        using Socket source = await ConnectAsync();
        source.Send(StreamBuilder.SmallMachine());
        source.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await receiver.Process.WaitForExitAsync(s_soon));
        Assert.True(File.Exists(Path.Combine(Root, "capture")));
    }

    /// <summary>A process that sees a cgroup with limits of the test's own in /proc.</summary>
    [Fact]
    public async Task The_limit_of_a_cgroup_is_read_when_a_machine_arrives()
    {
        string group = LayOutGroup(limit: "max");
        string captures = Directory.CreateDirectory(Path.Combine(Root, "captures")).FullName;
        await using RdmamigProcess receiver = await RdmamigProcess.ListenAsync($"unix:{Root}/socket", captures + "/", wrapper: InGroup());
        Assert.True((await TakeMachineAsync(receiver)).Completed);

        // Less than the machine's five pages.
        File.WriteAllText(Path.Combine(group, "memory.max"), "16384\n");
        ReceiveResult refused = await TakeMachineAsync(receiver);

        File.WriteAllText(Path.Combine(group, "memory.max"), "20480\n");
        Assert.True((await TakeMachineAsync(receiver)).Completed);
        Assert.Equal(("failed", "Memory"), (refused.Status, refused.ErrorClass));
        Assert.Contains("16384", refused.Error, StringComparison.Ordinal);
        Assert.Equal(2, Directory.GetFiles(captures).Length);
    }

    private async Task<ReceiveResult> TakeMachineAsync(RdmamigProcess receiver)
    {
        int from = receiver.Events.Count;
        using Socket source = await ConnectAsync();
        source.Send(StreamBuilder.SmallMachine());
        source.Shutdown(SocketShutdown.Send);
        return await receiver.ResultAsync(from);
    }

    /// <summary>Makes the files of a cgroup, and those of /proc that lead to it.</summary>
    /// <returns>The directory of the cgroup.</returns>
    private string LayOutGroup(string limit)
    {
        string group = Directory.CreateDirectory(Path.Combine(Root, "cgroups", "vm")).FullName;
        File.WriteAllText(Path.Combine(group, "memory.max"), limit + "\n");
        File.WriteAllText(Path.Combine(group, "memory.current"), "0\n");
        File.WriteAllText(Path.Combine(Root, "cgroup"), "0::/vm\n");
        File.WriteAllText(Path.Combine(Root, "mountinfo"), $"30 23 0:26 / {Root}/cgroups rw - cgroup2 cgroup2 rw\n");
        return group;
    }

    /// <summary>Runs what follows with these files in place of its own in /proc.</summary>
    private string[] InGroup() =>
    [
        "unshare", .. (string[])(Environment.IsPrivilegedProcess ? [] : ["--map-root-user"]), "--mount", "/bin/sh", "-c",
        $"mount --bind {Root}/cgroup /proc/$$/cgroup && mount --bind {Root}/mountinfo /proc/$$/mountinfo && exec \"$@\"", "sh",
    ];

    private async Task<Socket> ConnectAsync()
    {
        Socket source = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await source.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(Root, "socket")));
        return source;
    }

    /// <summary>The binary and the libraries that it is linked against, by ldd.</summary>
    private Task<string> LayOutRootAsync() => RunAsync(0,
        $"cp {Executables.Rdmamig} {Root}/rdmamig && for l in $(ldd {Root}/rdmamig | grep -o '/[^ ]*'); do mkdir -p {Root}$(dirname $l) && cp $l {Root}$l || "
            + "exit; done");

    private Task<string> InChrootAsync(int exitCode, string arguments) =>
        RunAsync(exitCode, $"{(Environment.IsPrivilegedProcess ? "" : "unshare --map-root-user ")}chroot {Root} /rdmamig {arguments}");

    /// <summary>Runs a command of the shell, and returns what it wrote to either output.</summary>
    private static async Task<string> RunAsync(int exitCode, string command)
    {
        await using ChildProcess shell = ChildProcess.Start("sh", "/bin/sh", ["-c", command]);
        int code = await shell.WaitForExitAsync(s_soon);
        Assert.True(code == exitCode, $"{command} ended with {code}: {shell.Errors}");
        return shell.Errors;
    }
}
