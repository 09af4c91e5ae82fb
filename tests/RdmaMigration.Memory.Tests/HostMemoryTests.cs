using RdmaMigration.Linux;

namespace RdmaMigration.Memory.Tests;

public sealed class HostMemoryTests
{
    [Fact]
    public void Available_memory_is_more_than_nothing_and_no_more_than_all()
    {
        string line = File.ReadLines("/proc/meminfo").First(l => l.StartsWith("MemTotal:", StringComparison.Ordinal));
        ulong total = ulong.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) * 1024;
        Assert.InRange(HostMemory.Available, 1UL << 20, total);
    }

    [Fact]
    public void MemAvailable_is_read_in_KiB() =>
        Assert.Equal(123UL * 1024, HostMemory.MemAvailable("MemTotal:     1000 kB\nMemFree:    5 kB\nMemAvailable:    123 kB\nBuffers: 1 kB\n"));

    [Fact]
    public void A_meminfo_without_MemAvailable_is_an_error_that_says_so()
    {
        MigrationException failed = Assert.Throws<MigrationException>(() => HostMemory.MemAvailable("MemTotal: 1 kB\n"));
        Assert.Equal(FailureReason.Memory, failed.Reason);
        Assert.Contains("MemAvailable", failed.Message, StringComparison.Ordinal);
    }
}
