using System.Text.Json;
using RdmaMigration.Cli.Doctor;

namespace RdmaMigration.Cli.Tests;

public sealed class DoctorTests : IDisposable
{
    private readonly HostLayout _host = HostLayout.Able();

    public void Dispose() => _host.Dispose();

    [Fact]
    public void A_host_that_lacks_nothing_has_only_good_lines_and_the_libraries_versions()
    {
        HostReport report = _host.Examine();

        Assert.True(report.MigrationPossible);
        Assert.All(report.Checks, check => Assert.Equal(CheckStatus.Ok, check.Status));
        Assert.Contains(report.Checks, check => check is { Name: "libibverbs.so.1", Detail: "/usr/lib/libibverbs.so.1.14.44.0" });
        Assert.Contains(report.Checks, check => check is { Name: "rxe0", Detail: "ACTIVE, Ethernet, mtu 1024, 1 GID, eth0" });
    }

    [Fact]
    public void A_report_says_that_RDMA_does_not_encrypt_also_on_a_host_that_lacks_everything()
    {
        HostReport able = _host.Examine();
        _host.Without("/sys").Without("/proc").Devices.Clear();
        _host.Libraries.Clear();

        Assert.All((HostReport[])[able, _host.Examine()], report =>
        {
            HostCheck check = Assert.Single(report.Checks, line => line.Name == "encryption");
            Assert.Equal(("network", CheckStatus.Ok), (check.Group, check.Status));
            Assert.Contains("RDMA has none", check.Detail, StringComparison.Ordinal);
            Assert.Contains("in clear", check.Detail, StringComparison.Ordinal);
        });
    }

    [Theory]
    [InlineData("/sys/module/rdma_ucm", "module rdma_ucm", "modprobe rdma_ucm")]
    [InlineData("/dev/infiniband/uverbs0", "rxe0", "udevadm trigger")]
    [InlineData("/dev/infiniband/rdma_cm", "/dev/infiniband/rdma_cm", "--device=/dev/infiniband")]
    public void What_the_kernel_lacks_is_missing_with_the_command_that_fixes_it(string gone, string name, string fix)
    {
        _host.Without(gone);
        if (gone.StartsWith("/sys/module", StringComparison.Ordinal))
        {
            _host.Without("/dev/infiniband/rdma_cm");
        }

        AssertMissing(_host.Examine(), name, fix);
    }

    [Fact]
    public void A_module_without_a_folder_in_sys_whose_class_is_there_is_built_in()
    {
        _host.Without("/sys/module/rdma_ucm").With("/sys/class/misc/rdma_cm/dev", "10:122");

        HostReport report = _host.Examine();

        Assert.True(report.MigrationPossible);
        Assert.Contains(report.Checks, check => check is { Name: "module rdma_ucm", Detail: "built in" });
    }

    [Fact]
    public void A_module_that_this_kernel_was_not_built_with_is_not_offered_to_modprobe()
    {
        _host.Without("/sys/module/ib_uverbs").Without("/sys/class/infiniband_verbs").With("/lib/modules/6.1.0-13-amd64/modules.dep", "kernel/fs/9p/9p.ko:");

        HostReport report = _host.Examine();

        HostCheck check = report.Checks.Single(line => line.Name == "module ib_uverbs");
        Assert.Equal(CheckStatus.Missing, check.Status);
        Assert.DoesNotContain("modprobe", check.Fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ID=debian", "apt-get install libibverbs1 ibverbs-providers librdmacm1")]
    [InlineData("ID=ubuntu\nID_LIKE=debian", "apt-get install libibverbs1 ibverbs-providers librdmacm1")]
    [InlineData("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"", "dnf install libibverbs librdmacm")]
    [InlineData("ID=\"sles\"\nID_LIKE=\"suse\"", "zypper install libibverbs1 librdmacm1 rdma-core")]
    [InlineData("ID=plan9", "install rdma-core's libibverbs and librdmacm with their providers")]
    public void A_missing_library_is_fixed_by_the_distributions_package_manager(string release, string fix)
    {
        _host.With("/etc/os-release", release).Libraries.Remove("librdmacm.so.1");

        AssertMissing(_host.Examine(), "librdmacm.so.1", fix);
    }

    [Fact]
    public void A_device_that_libibverbs_does_not_see_lacks_its_provider()
    {
        _host.With("/sys/class/infiniband/mlx5_0/node_guid", "0");

        Assert.Equal(CheckStatus.Warn, _host.Examine().Checks.Single(check => check.Name == "mlx5_0").Status);
        Assert.True(_host.Examine().MigrationPossible);

        _host.Without("/sys/class/infiniband/rxe0").Devices.Clear();
        AssertMissing(_host.Examine(), "mlx5_0", "ibverbs-providers");
    }

    [Fact]
    public void A_device_without_its_device_file_does_not_keep_another_from_being_used()
    {
        _host.With("/sys/class/infiniband/mlx5_0/node_guid", "0").With("/sys/class/infiniband_verbs/uverbs1/ibdev", "mlx5_0");

        HostReport report = _host.Examine();

        Assert.True(report.MigrationPossible);
        HostCheck check = Assert.Single(report.Checks, line => line.Status != CheckStatus.Ok);
        Assert.Equal(("mlx5_0", CheckStatus.Warn), (check.Name, check.Status));
        Assert.Contains("/dev/infiniband/uverbs1", check.Detail, StringComparison.Ordinal);
        Assert.DoesNotContain("ibverbs-providers", check.Fix, StringComparison.Ordinal);
        Assert.Equal(["rxe0"], report.Checks.Where(line => line.IsUsable).Select(line => line.Name));
    }

    [Theory]
    [InlineData("/.dockerenv")]
    [InlineData("/run/.containerenv")]
    [InlineData("/run/systemd/container")]
    public void A_container_without_device_files_is_to_be_started_with_them(string mark)
    {
        _host.With(mark, "").Without("/dev/infiniband").Without("/sys/module/rdma_ucm").With("/sys/class/misc/rdma_cm/dev", "10:122").Devices.Clear();

        HostReport report = _host.Examine();

        Assert.Equal(["/dev/infiniband/rdma_cm", "rxe0"], report.Checks.Where(line => line.Status == CheckStatus.Missing).Select(line => line.Name));
        AssertMissing(report, "/dev/infiniband/rdma_cm", "start the container with --device=/dev/infiniband/rdma_cm");
        AssertMissing(report, "rxe0", "start the container with --device=/dev/infiniband/uverbs0");
    }

    [Fact]
    public void A_device_whose_addresses_belong_to_another_network_namespace_cannot_be_used()
    {
        GidView linkLocal = new(0, "fe80::1", "RoCE v2", "fe80::1", true, "eth0");
        GidView elsewhere = new(1, "::ffff:0a00:0005", "RoCE v2", "10.0.0.5", false, null) { IsLocal = false };
        _host.Devices[0] = HostLayout.Device("rxe0", HostLayout.Port(gids: [linkLocal, elsewhere]));

        AssertMissing(_host.Examine(), "rxe0", "network namespace");

        _host.Devices[0] = HostLayout.Device("rxe0", HostLayout.Port(gids: [linkLocal, elsewhere, elsewhere with { IsLocal = true }]));
        Assert.True(_host.Examine().MigrationPossible);
    }

    [Fact]
    public void Without_sys_and_proc_each_is_a_line_and_no_device_is_blamed()
    {
        _host.Without("/sys").Without("/proc").Devices.Clear();

        HostReport report = _host.Examine();

        Assert.False(report.MigrationPossible);
        Assert.All(report.Checks.Where(line => line.Status == CheckStatus.Missing), line => Assert.Equal("mount -t sysfs sysfs /sys", line.Fix));
    }

    [Theory]
    [InlineData(1L << 20, null, nameof(CheckStatus.Missing))]
    [InlineData(1L << 30, null, nameof(CheckStatus.Warn))]
    [InlineData(1L << 30, 2L << 30, nameof(CheckStatus.Missing))]
    [InlineData(1L << 30, 1L << 30, nameof(CheckStatus.Ok))]
    public void The_file_size_limit_is_compared_with_the_machine(long limit, long? maxRam, string status)
    {
        _host.FileSizeLimit = (ulong)limit;

        Assert.Equal(status, _host.Examine((ulong?)maxRam).Checks.Single(line => line.Name == "file size limit").Status.ToString());
    }

    [Fact]
    public void A_host_without_a_device_is_shown_how_to_make_a_soft_RoCE_device()
    {
        _host.Without("/sys/class/infiniband").Without("/sys/class/infiniband_verbs/uverbs0").Devices.Clear();

        AssertMissing(_host.Examine(), "RDMA device", "modprobe rdma_rxe && modprobe crc32_generic && rdma link add rxe0 type rxe netdev eth0");
    }

    [Fact]
    public void A_port_that_is_down_matters_only_when_no_other_is_up()
    {
        _host.Devices.Add(HostLayout.Device("rxe1", HostLayout.Port(active: false)));

        HostReport report = _host.Examine();

        Assert.True(report.MigrationPossible);
        Assert.Equal(CheckStatus.Warn, report.Checks.Single(check => check.Name == "rxe1").Status);

        _host.Devices.RemoveAt(0);
        AssertMissing(_host.Examine(), "rxe1", "ip link set eth0 up");
    }

    [Fact]
    public void A_port_with_link_local_addresses_alone_is_a_warning()
    {
        _host.Devices[0] = HostLayout.Device("rxe0", HostLayout.Port(gids: new GidView(0, "fe80::1", "RoCE v2", "fe80::1", true, "eth0")));

        HostCheck check = _host.Examine().Checks.Single(line => line.Name == "rxe0");

        Assert.Equal((CheckStatus.Warn, "ip addr add ADDRESS/PREFIX dev eth0"), (check.Status, check.Fix));
    }

    [Theory]
    [InlineData(8L << 20, null, nameof(CheckStatus.Missing))]
    [InlineData(1L << 30, null, nameof(CheckStatus.Warn))]
    [InlineData(1L << 30, 2L << 30, nameof(CheckStatus.Missing))]
    [InlineData(1L << 30, 1L << 30, nameof(CheckStatus.Missing))]
    [InlineData((1L << 30) + (4 << 20), 1L << 30, nameof(CheckStatus.Ok))]
    [InlineData(64L << 30, null, nameof(CheckStatus.Ok))]
    public void The_memlock_limit_is_held_against_the_machine_and_the_control_buffers(long limit, long? maxRam, string status)
    {
        _host.MemlockLimit = (ulong)limit;

        HostCheck check = _host.Examine((ulong?)maxRam).Checks.Single(line => line.Name == "memlock limit");

        Assert.Equal(status, check.Status.ToString());
        Assert.Equal(check.Status != CheckStatus.Ok, check.Fix?.Contains("ulimit -l", StringComparison.Ordinal) ?? false);
    }

    [Theory]
    [InlineData("         0          0 4294967295", nameof(CheckStatus.Ok))]
    [InlineData("         0     100000      65536", nameof(CheckStatus.Missing))]
    public void CAP_IPC_LOCK_lifts_the_limit_except_in_a_user_namespace(string map, string status)
    {
        _host.With("/proc/self/status", "CapEff:\t0000000000004000").With("/proc/self/uid_map", map).MemlockLimit = 8 << 20;

        Assert.Equal(status, _host.Examine().Checks.Single(check => check.Name == "memlock limit").Status.ToString());
    }

    [Fact]
    public void A_machine_larger_than_the_hosts_memory_is_refused() => AssertMissing(_host.Examine(maxRam: 16UL << 30), "RAM", "smaller machine");

    [Fact]
    public void Huge_pages_are_told_by_size()
    {
        _host.With("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512").With("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500")
            .With("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always within_size [advise] never deny force");

        Assert.Equal(
            "2 MiB: 500 of 512 free; transparent for shared memory: advise", _host.Examine().Checks.Single(check => check.Name == "huge pages").Detail);
    }

    [Fact]
    public void Text_puts_the_fix_below_its_check_and_the_verdict_last()
    {
        _host.Without("/dev/infiniband/rdma_cm");

        string[] lines = Write(DoctorText.Write).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        int missing = Array.FindIndex(lines, line => line.StartsWith("missing", StringComparison.Ordinal));
        Assert.Contains("/dev/infiniband/rdma_cm", lines[missing], StringComparison.Ordinal);
        Assert.StartsWith("fix: ", lines[missing + 1].TrimStart(), StringComparison.Ordinal);
        Assert.Matches(@"^gid +rxe0/1 +\[1\] 10\.0\.0\.5  RoCE v2  eth0$", lines[^2]);
        Assert.Matches(@"\bcannot\b.*\b1 problem\b", lines[^1]);
    }

    [Fact]
    public void Json_has_checks_with_status_words_and_devices()
    {
        _host.Without("/dev/infiniband/rdma_cm");

        using JsonDocument document = JsonDocument.Parse(Write((report, screen) => DoctorJson.Write(report, screen.Out)));

        JsonElement root = document.RootElement;
        Assert.False(root.GetProperty("migration-possible").GetBoolean());
        JsonElement missing = root.GetProperty("checks").EnumerateArray().Single(check => check.GetProperty("status").GetString() == "missing");
        Assert.Equal("kernel", missing.GetProperty("group").GetString());
        Assert.NotEmpty(missing.GetProperty("fix").GetString()!);
        JsonElement port = root.GetProperty("devices")[0].GetProperty("ports")[0];
        Assert.Equal(("Ethernet", 1024), (port.GetProperty("link-layer").GetString(), port.GetProperty("active-mtu").GetInt32()));
    }

    private static void AssertMissing(HostReport report, string name, string fix)
    {
        Assert.False(report.MigrationPossible);
        HostCheck check = Assert.Single(report.Checks, line => line.Name == name);
        Assert.Equal(CheckStatus.Missing, check.Status);
        Assert.Contains(fix, check.Fix, StringComparison.Ordinal);
    }

    private string Write(Action<HostReport, Screen> write)
    {
        using StringWriter output = new();
        write(_host.Examine(), new Screen(output, TextWriter.Null));
        return output.ToString();
    }
}
