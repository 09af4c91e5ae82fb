using RdmaMigration.Engine;

namespace RdmaMigration.Cli.Receive;

/// <summary>The target of captures as written on the command line: a file or a directory.</summary>
internal static class CapturePath
{
    public const string HelpName = "FILE|DIR/";

    /// <summary>A trailing slash says so, or a directory that is there.</summary>
    public static bool IsDirectory(string path) => Path.EndsInDirectorySeparator(path) || Directory.Exists(path);

    public static CaptureTarget Read(string path, string? pattern = null) =>
        IsDirectory(path) ? CaptureTarget.ToDirectory(path, pattern ?? CaptureTarget.DefaultPattern) : CaptureTarget.ToFile(path);

    /// <summary>
    /// Tries: permissions, read-only mounts, file systems without files, and what is no file under its name all show, better now than when the machine is here.
    /// </summary>
    public static string? ReasonNotWritable(CaptureTarget target)
    {
        string directory = target.Directory;
        if (!Directory.Exists(directory))
        {
            return $"the directory '{directory}' does not exist; create it: mkdir -p '{directory}'";
        }

        if (target.WhyNotReplaceable() is { } reason)
        {
            return reason;
        }

        try
        {
            // Not a Guid: it takes /dev/urandom, which a bare chroot does not have.
            string probe = Path.Combine(directory, $".rdmamig-{Environment.ProcessId}-{Random.Shared.NextInt64():x16}.probe");
            File.OpenHandle(probe, FileMode.CreateNew, FileAccess.Write, options: FileOptions.DeleteOnClose).Dispose();
            return null;
        }
        catch (Exception cannot) when (cannot is IOException or UnauthorizedAccessException)
        {
            return $"cannot create a file in '{directory}': {cannot.Message}";
        }
    }
}
