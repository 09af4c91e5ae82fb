using System.Globalization;

namespace RdmaMigration.Linux.Tests;

public class ResourceLimitsTests
{
    [Fact]
    public void The_limits_of_this_process_are_what_its_limits_file_says()
    {
        Assert.Equal(Soft("Max file size"), Text(ResourceLimits.FileSize));
        Assert.Equal(Soft("Max locked memory"), Text(ResourceLimits.LockedMemory));
    }

    private static string Soft(string label)
    {
        string line = File.ReadLines("/proc/self/limits").Single(line => line.StartsWith(label, StringComparison.Ordinal));
        return line[label.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
    }

    private static string Text(ulong? limit) => limit?.ToString(CultureInfo.InvariantCulture) ?? "unlimited";
}
