using System.Globalization;
using System.Text.RegularExpressions;
using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>The unit that is shipped, started by a real systemd: all of its restrictions are in force while machines move over RDMA.</summary>
[Trait("needs", "rdma")]
public sealed class SystemdTests : ReceiverTests, IAsyncLifetime
{
    private const string Unit = "rdmamig@vm1";
    private const int Mebibytes = 32;

    /// <summary>The port of example.conf.</summary>
    private const int Port = 4444;

    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(5);

    private static readonly string s_folder = Path.Combine(Executables.RepositoryRoot, "src", "RdmaMigration.Service", "systemd");

    private SystemdHost? _host;

    private SystemdHost Host => _host!;

    /// <summary>The settings of vm1 are those that are shipped, unchanged.</summary>
    public async ValueTask InitializeAsync()
    {
        File.Copy(Path.Combine(s_folder, "example.conf"), Work.File("vm1.conf"));
        await File.WriteAllTextAsync(Work.File("wrong.conf"), "incomming = defer\n");
        _host = await SystemdHost.StartAsync(Path.Combine(s_folder, "rdmamig@.service"), Work.File("vm1.conf"), Work.File("wrong.conf"));
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            await _host.DisposeAsync();
        }

        Dispose();
    }

    [Fact]
    public async Task A_machine_moves_in_and_out_over_RDMA_under_all_restrictions_of_the_unit()
    {
        await Host.SystemctlAsync("start", Unit);
        Assert.Contains($"Status: \"Listening on rdma:0.0.0.0:{Port}\"", await Host.SystemctlAsync("status", Unit), StringComparison.Ordinal);
        await IsRestrictedAsync();
        await using QmpClient monitor = await Host.ConnectAsync("vm1");
        Assert.Equal("inmigrate", await QmpMove.RunStateAsync(monitor));

        await using QemuMachine source = await StartSourceAsync("pc", Mebibytes);
        await MoveInAsync(source, monitor);
        Assert.Matches("^Receiving from .*: completed$", await Host.PropertyAsync(Unit, "StatusText"));
        await using QemuMachine arrived = await Restoration.StartLikeAsync(source, Work.File("arrived.ram"), Work, "arrived", options => QemuMachine.TakeAsync(
            options, RdmaAddress.NextUri(), uri => QmpMove.SendAsync(monitor, uri, "pause-before-switchover")));
        await Restoration.HasArrivedAsync(source, arrived, Work);

        await StopsAsync();
    }

    [Fact]
    public async Task A_killed_service_is_restarted_and_takes_the_next_machine()
    {
        await Host.SystemctlAsync("start", Unit);
        await Host.SystemctlAsync("kill", "--signal=KILL", Unit);
        await Host.UntilAsync(Unit, "NRestarts", value => value == "1");
        await Host.UntilAsync(Unit, "ActiveState", value => value == "active");

        await using QmpClient monitor = await Host.ConnectAsync("vm1");
        await using QemuMachine source = await StartSourceAsync("pc", Mebibytes);
        await MoveInAsync(source, monitor);
        await StopsAsync();
    }

    [Fact]
    public async Task A_restart_amid_a_migration_leaves_the_machine_at_its_source_and_takes_it_again()
    {
        await Host.SystemctlAsync("start", Unit);
        await using QemuMachine source = await StartSourceAsync("pc", Mebibytes, halfZero: false);
        await source.SetLimitsAsync(2 << 20);
        int from = source.Monitor.Events.Count;
        await source.StartMigrationAsync(RdmaAddress.Uri(Port));
        await Host.UntilAsync(Unit, "StatusText", status => Regex.IsMatch(status, "^Receiving from .*: ram [1-9][0-9]?%$"));

        await Host.SystemctlAsync("restart", Unit);

        Assert.Equal("failed", (await source.MigrationOutcomeAsync(from)).Status);
        await HasStoppedAsync();
        await source.SetLimitsAsync(RdmaAddress.Unlimited);
        await using QmpClient monitor = await Host.ConnectAsync("vm1");
        await MoveInAsync(source, monitor);
        await StopsAsync();
    }

    [Fact]
    public async Task Wrong_settings_fail_the_unit_once()
    {
        const string wrong = "rdmamig@wrong";
        (int exitCode, _) = await Host.TryAsync("systemctl", "start", wrong);

        Assert.NotEqual(0, exitCode);
        Assert.Equal(
            ("failed", "exit-code", "2", "0"),
            (await Host.PropertyAsync(wrong, "ActiveState"), await Host.PropertyAsync(wrong, "Result"),
                await Host.PropertyAsync(wrong, "ExecMainStatus"), await Host.PropertyAsync(wrong, "NRestarts")));
        Assert.Contains("incomming", await Host.JournalAsync(), StringComparison.Ordinal);
    }

    /// <summary>A QEMU sends its machine to the unit. The machine was never started.</summary>
    private static async Task MoveInAsync(QemuMachine source, QmpClient monitor)
    {
        Assert.Equal("completed", (await source.MigrateAsync(RdmaAddress.Uri(Port))).Status);
        await QmpMove.UntilRunStateAsync(monitor, "prelaunch");
    }

    private async Task StopsAsync()
    {
        await Host.SystemctlAsync("stop", Unit);
        await HasStoppedAsync();
        Assert.Equal("inactive", await Host.PropertyAsync(Unit, "ActiveState"));
        Assert.False(Directory.Exists(Host.PathOf("/run/rdmamig/vm1")));
    }

    /// <summary>The last stop took 5 s at most and was a success. Its times are systemd's: systemctl itself takes seconds in an emulated guest.</summary>
    private async Task HasStoppedAsync()
    {
        string[] journal = (await Host.JournalAsync()).Split('\n');
        double took = TimeOf($"{Unit}.service: Deactivated successfully.") - TimeOf($"Stopping {Unit}.service");

        Measured(string.Create(CultureInfo.InvariantCulture, $"stopped in {took:0.00} s"));
        Assert.InRange(took, 0, s_soon.TotalSeconds);

        double TimeOf(string message)
        {
            string? line = Array.FindLast(journal, entry => entry.Contains(message, StringComparison.Ordinal));
            Assert.True(line is not null, $"no '{message}' in: {string.Join('\n', journal)}");
            return double.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture);
        }
    }

    /// <summary>The kernel enforces what the unit says.</summary>
    private async Task IsRestrictedAsync()
    {
        string process = Host.PathOf($"/proc/{await Host.PropertyAsync(Unit, "MainPID")}");
        string[] status = await File.ReadAllLinesAsync($"{process}/status");
        Assert.Contains("NoNewPrivs:\t1", status);
        Assert.Contains("Seccomp:\t2", status);
        Assert.Contains("CapEff:\t0000000000000000", status);
        Assert.DoesNotContain(status, line => line.StartsWith("Uid:\t0", StringComparison.Ordinal));
        Assert.Matches("Max locked memory +unlimited +unlimited", await File.ReadAllTextAsync($"{process}/limits"));

        // A process of root in the unit's control group: only the device policy can refuse it a device.
        string group = await Host.PropertyAsync(Unit, "ControlGroup");
        Assert.Equal((0, 0), (await OpenAsync("/init.scope", "/dev/kmsg"), await OpenAsync(group, "/dev/infiniband/rdma_cm")));
        Assert.Equal(0, await OpenAsync(group, "/dev/infiniband/uverbs0"));
        Assert.Equal(1, await OpenAsync(group, "/dev/kmsg"));
    }

    /// <summary>Opens a device in a control group of the host.</summary>
    /// <returns>0: it is open. 1: it is not.</returns>
    private async Task<int> OpenAsync(string group, string device) => (await Host.TryAsync(
        "/bin/bash", "-c", "echo $$ > \"/sys/fs/cgroup$1/cgroup.procs\" || exit 2; : < \"$2\"", "open", group, device)).ExitCode;
}
