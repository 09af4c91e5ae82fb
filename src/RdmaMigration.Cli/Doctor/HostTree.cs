using RdmaMigration.Linux;

namespace RdmaMigration.Cli.Doctor;

/// <summary>Reads /proc, /sys, /dev and /etc below a root, so that a test can lay out a host of its own.</summary>
internal sealed class HostTree(string root = "/")
{
    /// <summary>The path as the operating system knows it.</summary>
    public string Real(string path) => root == "/" ? path : root + path;

    public bool Exists(string path) => Path.Exists(Real(path));

    /// <summary>The first line without its line end, or null when the file is absent, empty or refuses to be read.</summary>
    public string? ReadLine(string path) => ReadLines(path) is [var first, ..] ? first : null;

    /// <summary>The lines, or none when the file is absent or refuses to be read (sysfs answers some reads with an error).</summary>
    public IReadOnlyList<string> ReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(Real(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The names in a folder, in ordinal order; none when there is no such folder.</summary>
    public IReadOnlyList<string> Entries(string path)
    {
        if (!Directory.Exists(Real(path)))
        {
            return [];
        }

        string[] names = Directory.GetFileSystemEntries(Real(path)).Select(entry => Path.GetFileName(entry)!).ToArray();
        Array.Sort(names, StringComparer.Ordinal);
        return names;
    }

    /// <summary>The last part of a symbolic link's target (sysfs names a driver so), or null.</summary>
    public string? LinkName(string path) =>
        new FileInfo(Real(path)).LinkTarget is { } target ? Path.GetFileName(target.TrimEnd('/')) : null;

    /// <summary>True when this process may open the file for reading and writing, by access(2).</summary>
    public bool IsReadWrite(string path) => PathAccess.IsReadWrite(Real(path));

    public UnixFileMode Mode(string path) => File.GetUnixFileMode(Real(path));
}
