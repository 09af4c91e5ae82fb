namespace RdmaMigration.Memory.Tests;

/// <summary>Hosts laid out in a directory: what the kernel shows of cgroups in /proc and where they are mounted.</summary>
public sealed class CgroupMemoryTests : IDisposable
{
    private const string Version2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    private const string Version1 = "35 30 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory";
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("cgroup");

    public void Dispose() => _root.Delete(recursive: true);

    [Fact]
    public void The_lowest_limit_of_nested_groups_counts()
    {
        Host(Version2, "0::/a/b/c");
        Group("/sys/fs/cgroup/a", limit: "900", current: 600);
        Group("/sys/fs/cgroup/a/b", limit: "500", current: 100);
        Group("/sys/fs/cgroup/a/b/c", limit: "max", current: 50);
        Assert.Equal(300UL, Remaining);
        Group("/sys/fs/cgroup/a/b/c", limit: "60", current: 50);
        Assert.Equal(10UL, Remaining);
    }

    [Fact]
    public void A_limit_that_slows_the_process_down_counts_too()
    {
        Host(Version2, "0::/a");
        Group("/sys/fs/cgroup/a", limit: "max", current: 100);
        File("/sys/fs/cgroup/a/memory.high", "700");
        Assert.Equal(600UL, Remaining);
    }

    [Fact]
    public void Page_cache_of_files_is_not_taken_for_used_memory()
    {
        Host(Version2, "0::/a");
        Group("/sys/fs/cgroup/a", limit: "1000", current: 900);
        File("/sys/fs/cgroup/a/memory.stat", "anon 200\nfile 700\nshmem 100\ninactive_file 400\nactive_file 200\n");
        Assert.Equal(700UL, Remaining);
    }

    [Fact]
    public void A_group_that_uses_more_than_its_limit_leaves_nothing()
    {
        Host(Version2, "0::/a");
        Group("/sys/fs/cgroup/a", limit: "100", current: 150);
        Assert.Equal(0UL, Remaining);
    }

    [Fact]
    public void Version_1_is_read_where_its_memory_controller_is_mounted()
    {
        Host(Version1, "12:cpu,cpuacct:/other\n11:memory:/a/b\n1:name=systemd:/a");
        Group1("/sys/fs/cgroup/memory/a", limit: 400, usage: 100, cache: 50);
        Group1("/sys/fs/cgroup/memory/a/b", limit: 9223372036854771712, usage: 100, cache: 0);
        Assert.Equal(350UL, Remaining);
    }

    [Fact]
    public void Both_versions_are_read_where_both_are_mounted()
    {
        Host($"{Version1}\n31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", "11:memory:/a\n0::/b");
        Group1("/sys/fs/cgroup/memory/a", limit: 400, usage: 0, cache: 0);
        Group("/sys/fs/cgroup/unified/b", limit: "300", current: 0);
        Assert.Equal(300UL, Remaining);
    }

    [Theory]
    [InlineData("/docker/x", "0::/docker/x/y", "/sys/fs/cgroup/y")]
    [InlineData("/docker/x", "0::/docker/x", "/sys/fs/cgroup")]
    [InlineData("/", "0::/../outside", "/sys/fs/cgroup")]
    [InlineData("/..", "0::/", "/sys/fs/cgroup")]
    public void A_container_reads_its_group_where_it_sees_it(string mountRoot, string group, string directory)
    {
        Host($"30 23 0:26 {mountRoot} /sys/fs/cgroup rw - cgroup2 cgroup2 rw", group);
        Group(directory, limit: "300", current: 100);
        Assert.Equal(200UL, Remaining);
    }

    [Fact]
    public void No_limit_no_group_and_no_proc_limit_nothing()
    {
        Assert.Null(Remaining);
        Host(Version2, "0::/a");
        Assert.Null(Remaining);
        Group("/sys/fs/cgroup/a", limit: "max", current: 100);
        Assert.Null(Remaining);
        Host("not a mount", "not a group");
        Assert.Null(Remaining);
    }

    [Fact]
    public void A_group_with_less_than_the_host_has_is_what_is_available()
    {
        Host(Version2, "0::/a");
        File("/proc/meminfo", "MemTotal: 4000 kB\nMemAvailable: 2000 kB\n");
        Group("/sys/fs/cgroup/a", limit: "9000000", current: 0);
        Assert.Equal(2000UL << 10, HostMemory.AvailableBelow(_root.FullName));
        Group("/sys/fs/cgroup/a", limit: "9000", current: 1000);
        Assert.Equal(8000UL, HostMemory.AvailableBelow(_root.FullName));
    }

    [Fact]
    public void Without_proc_the_kernel_is_asked_for_free_memory() => Assert.InRange(HostMemory.AvailableBelow(_root.FullName), 1UL << 20, 1UL << 50);

    private ulong? Remaining => CgroupMemory.Remaining(_root.FullName);

    private void Host(string mounts, string groups)
    {
        File("/proc/self/mountinfo", "23 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n" + mounts + "\n");
        File("/proc/self/cgroup", groups + "\n");
    }

    private void Group(string directory, string limit, ulong current)
    {
        File($"{directory}/memory.max", limit + "\n");
        File($"{directory}/memory.current", $"{current}\n");
    }

    private void Group1(string directory, ulong limit, ulong usage, ulong cache)
    {
        File($"{directory}/memory.limit_in_bytes", $"{limit}\n");
        File($"{directory}/memory.usage_in_bytes", $"{usage}\n");
        File($"{directory}/memory.stat", $"cache 7\nactive_file 1\ntotal_active_file {cache}\n");
    }

    private void File(string path, string content)
    {
        string real = _root.FullName + path;
        Directory.CreateDirectory(Path.GetDirectoryName(real)!);
        System.IO.File.WriteAllText(real, content);
    }
}
