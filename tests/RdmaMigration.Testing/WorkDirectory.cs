namespace RdmaMigration.Testing;

/// <summary>
/// A folder in memory for sockets, guest memory and captures, gone after the test. RDMAMIG_WORK_DIR moves it away from
/// /dev/shm.
/// </summary>
public sealed class WorkDirectory : IDisposable
{
    /// <param name="parent">Where it is made; null for memory.</param>
    public WorkDirectory(string? parent = null)
    {
        parent ??= Environment.GetEnvironmentVariable("RDMAMIG_WORK_DIR") is { Length: > 0 } named ? named : "/dev/shm";
        FullName = Directory.CreateDirectory(Path.Combine(parent, $"interop-{Environment.ProcessId}-{Path.GetRandomFileName()[..8]}")).FullName;
    }

    public string FullName { get; }

    public string File(string name) => Path.Combine(FullName, name);

    public void Dispose() => Directory.Delete(FullName, recursive: true);
}
