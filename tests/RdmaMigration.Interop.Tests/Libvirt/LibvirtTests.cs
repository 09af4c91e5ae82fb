using RdmaMigration.Testing;

namespace RdmaMigration.Interop;

/// <summary>An unmodified libvirt moves a QEMU guest into `rdmamig qemu`, and from there into a QEMU.</summary>
[Trait("needs", "qemu")]
public sealed class LibvirtTests(LibvirtBed bed) : IClassFixture<LibvirtBed>
{
    /// <summary>The options of virsh migrate.</summary>
    public static TheoryData<string> Ways() => ["--p2p", "--direct", "--migrateuri unix:SOCKET", "--tunnelled"];

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_guest_goes_there_and_back_with_the_same_memory(string way)
    {
        await bed.StartGuestAsync();
        await bed.Home.RunAsync("suspend", LibvirtBed.Guest);
        string before = await bed.SaveMemoryAsync("before");
        string[] options = [.. way.Replace("SOCKET", bed.Socket, StringComparison.Ordinal).Split(' ').Where(option => option != "--p2p")];

        Assert.Equal("paused", await bed.MoveAsync(bed.Home, options));
        Assert.Equal("paused", await bed.MoveAsync(bed.Capture, options));

        Assert.Equal(-1, GuestMemory.FirstDifference(before, await bed.SaveMemoryAsync("after")));
        await bed.Home.RunAsync("resume", LibvirtBed.Guest);
        await bed.GuestRunsAsync();
    }

    [Fact]
    public async Task A_running_guest_stops_on_the_capture_host_and_runs_on_at_home()
    {
        await bed.StartGuestAsync();

        Assert.Equal("running", await bed.MoveAsync(bed.Home));
        Dictionary<string, long> arrived = await bed.Capture.StatisticsAsync(LibvirtBed.Guest, "--completed");
        Assert.Equal("running", await bed.MoveAsync(bed.Capture));
        Dictionary<string, long> returned = await bed.Home.StatisticsAsync(LibvirtBed.Guest, "--completed");

        await bed.GuestRunsAsync();
        Assert.All((Dictionary<string, long>[])[arrived, returned], statistics => Assert.Equal(0, statistics["memory_remaining"]));
        Assert.Equal(arrived["memory_total"], returned["memory_total"]);
        Assert.InRange(returned["memory_processed"], 3 << 20, arrived["memory_total"]);
    }

    [Fact]
    public async Task Suspend_and_resume_on_the_capture_host_decide_whether_the_guest_runs()
    {
        await bed.StartGuestAsync();

        Assert.Equal("paused", await bed.MoveAsync(bed.Home, "--suspend"));
        await bed.Capture.RunAsync("resume", LibvirtBed.Guest);
        Assert.Equal("running", await bed.MoveAsync(bed.Capture));

        await bed.GuestRunsAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_guest_whose_migration_is_aborted_stays_and_goes_at_the_next_attempt(bool isGoing)
    {
        LibvirtHost from = await StartGuestAsync(isGoing);
        Task<(int ExitCode, string Output)> migration = await bed.BeginAsync(from);
        Dictionary<string, long> statistics = await from.StatisticsAsync(LibvirtBed.Guest);
        await from.RunAsync("domjobabort", LibvirtBed.Guest);

        Assert.Equal(1, (await migration).ExitCode);
        Assert.InRange(statistics["memory_processed"], 1, statistics["memory_total"] - statistics["memory_remaining"]);
        await StaysAndGoesAsync(from);
    }

    [Theory]
    [InlineData(true, "rdmamig")]
    [InlineData(false, "qemu-system")]
    public async Task A_guest_whose_destination_is_killed_stays_and_goes_at_the_next_attempt(bool isGoing, string killed)
    {
        LibvirtHost from = await StartGuestAsync(isGoing);
        Task<(int ExitCode, string Output)> migration = await bed.BeginAsync(from);
        bed.Other(from).Kill(killed);

        Assert.Equal(1, (await migration).ExitCode);
        await StaysAndGoesAsync(from);
    }

    [Theory]
    [InlineData(true, "qemu-system")]
    [InlineData(false, "rdmamig")]
    public async Task A_guest_whose_source_is_killed_is_on_neither_host_and_a_new_one_moves(bool isGoing, string killed)
    {
        LibvirtHost from = await StartGuestAsync(isGoing);
        Task<(int ExitCode, string Output)> migration = await bed.BeginAsync(from);
        from.Kill(killed);

        Assert.Equal(1, (await migration).ExitCode);
        Assert.Null(await bed.Home.StateAsync(LibvirtBed.Guest));
        Assert.Null(await bed.Capture.StateAsync(LibvirtBed.Guest));
        LibvirtHost next = await StartGuestAsync(isGoing);
        Assert.Equal("running", await bed.MoveAsync(next));
    }

    [Fact]
    public async Task The_capture_host_reports_state_disks_and_statistics_of_a_guest_as_its_home_does()
    {
        await bed.StartGuestAsync();
        (string disks, HashSet<string> names) = (await bed.Home.RunAsync("domblklist", LibvirtBed.Guest), Names(await DomstatsAsync(bed.Home)));
        await bed.MoveAsync(bed.Home);

        string info = await bed.Capture.RunAsync("dominfo", LibvirtBed.Guest);
        Assert.All((string[])[@"State: +running", @"CPU\(s\): +1", "Max memory: +65536 KiB"], line => Assert.Matches($"(?m)^{line}$", info));
        Assert.Equal(disks, await bed.Capture.RunAsync("domblklist", LibvirtBed.Guest));
        string statistics = await DomstatsAsync(bed.Capture);
        Assert.Equal(names.Order(), Names(statistics).Order());
        Assert.All((string[])["state.state=1", "vcpu.current=1", "block.0.name=hda"], line => Assert.Matches($"(?m)^ *{line}$", statistics));

        await bed.Capture.RunAsync("destroy", LibvirtBed.Guest);
        Assert.Null(await bed.Capture.StateAsync(LibvirtBed.Guest));
    }

    [Fact]
    public async Task A_guest_on_the_capture_host_survives_the_QEMU_that_answers_for_its_devices()
    {
        LibvirtHost from = await StartGuestAsync(isGoing: false);
        from.Kill("qemu-system");

        Assert.Equal("running", await bed.MoveAsync(from));
        await bed.GuestRunsAsync();
    }

    [Fact]
    public async Task A_guest_that_is_saved_on_the_capture_host_is_restored_at_home()
    {
        LibvirtHost from = await StartGuestAsync(isGoing: false);

        await from.RunAsync("save", LibvirtBed.Guest, bed.File("saved"));
        await bed.Home.RunAsync("restore", bed.File("saved"));

        await bed.GuestRunsAsync();
    }

    /// <summary>The guest is at the host that it leaves in a test.</summary>
    private async Task<LibvirtHost> StartGuestAsync(bool isGoing)
    {
        await bed.StartGuestAsync();
        if (isGoing)
        {
            return bed.Home;
        }

        await bed.MoveAsync(bed.Home);
        return bed.Capture;
    }

    private static Task<string> DomstatsAsync(LibvirtHost host) => host.RunAsync("domstats", LibvirtBed.Guest);

    /// <summary>The names of what domstats prints.</summary>
    private static HashSet<string> Names(string statistics) =>
        [.. statistics.Split('\n').Where(line => line.Contains('=', StringComparison.Ordinal)).Select(line => line[..line.IndexOf('=')].Trim())];

    private async Task StaysAndGoesAsync(LibvirtHost from)
    {
        Assert.Equal("running", await from.StateAsync(LibvirtBed.Guest));
        Assert.Null(await bed.Other(from).StateAsync(LibvirtBed.Guest));
        Assert.Equal("running", await bed.MoveAsync(from));
    }
}
