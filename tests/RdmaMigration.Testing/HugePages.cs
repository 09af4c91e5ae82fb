using System.Globalization;

namespace RdmaMigration.Testing;

/// <summary>Huge pages that root has the kernel set aside for a test, and gives back after it.</summary>
public sealed class HugePages : IDisposable
{
    private const string Setting = "/proc/sys/vm/nr_hugepages";

    private readonly string? _before;

    private HugePages(string? before) => _before = before;

    /// <summary>Sets them aside. Who is not root gets none, and what needs them then says how to reserve them.</summary>
    public static HugePages TryReserve(int count)
    {
        string before = File.ReadAllText(Setting).Trim();
        if (!Environment.IsPrivilegedProcess)
        {
            return new HugePages(null);
        }

        File.WriteAllText(Setting, (int.Parse(before, CultureInfo.InvariantCulture) + count).ToString(CultureInfo.InvariantCulture));
        return new HugePages(before);
    }

    public void Dispose()
    {
        if (_before is not null)
        {
            File.WriteAllText(Setting, _before);
        }
    }
}
